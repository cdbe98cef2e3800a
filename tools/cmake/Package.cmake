# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` installs, and the Debian package of it: `cpack` in the build folder. The package's dependencies are what dpkg-shlibdeps
# finds the program to be linked with, so it fits the release that it was built on.
include(GNUInstallDirs)
set(deploy ${PROJECT_SOURCE_DIR}/tools/deploy)

install(TARGETS coroscope RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${deploy}/systemd/coroscope-agent.service DESTINATION lib/systemd/system)
# where the unit looks for it, whatever the prefix
install(FILES ${deploy}/systemd/agent.yaml DESTINATION /etc/coroscope)
install(FILES ${deploy}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES ${deploy}/otel-collector.yaml ${deploy}/pyroscope.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY ${deploy}/kubernetes DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The coroscope developers <coroscope@example.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "profiler that understands asyncio from the outside")
set(CPACK_STRIP_FILES ON)
# /etc and /usr, both below the package's root
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
foreach(name conffiles postinst prerm postrm)
	list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deploy}/debian/${name})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
