# SPDX-License-Identifier: Apache-2.0
#
# The project's CMake vocabulary:
#
#   cs_stage(NAME SOURCES a.c ... [DEPENDS stage ...] [LIBS lib ...])
#       One stage of userspace/ as a static library cs_NAME. DEPENDS names the stages before it.
#
#   cs_unit_test(NAME SOURCES a.c ... STAGES stage ... [LIBS lib ...])
#       A cmocka binary run by `ctest -L unit`: needs neither privilege nor other programs.
#
#   cs_messages(OUT NAME ...)
#       Sets OUT to the NAME.pb-c.{c,h} that protoc-c makes of each NAME.proto, in the current binary folder.
#
# Flags live in one INTERFACE target, cs_flags.

add_library(cs_flags INTERFACE)
target_compile_options(cs_flags INTERFACE
	-std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wmissing-prototypes
	-Wstrict-prototypes -Wvla -fno-strict-aliasing -fno-omit-frame-pointer)
target_compile_definitions(cs_flags INTERFACE _GNU_SOURCE)
target_include_directories(cs_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/userspace)
if(CS_SANITIZE)
	target_compile_options(cs_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
	target_link_options(cs_flags INTERFACE -fsanitize=address,undefined)
endif()

function(cs_stage name)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
	add_library(cs_${name} STATIC ${ARG_SOURCES})
	list(TRANSFORM ARG_DEPENDS PREPEND cs_)
	target_link_libraries(cs_${name} PUBLIC cs_flags ${ARG_DEPENDS} ${ARG_LIBS})
endfunction()

find_program(PROTOC_C protoc-c REQUIRED)
function(cs_messages out)
	set(made)
	foreach(name ${ARGN})
		set(pb ${CMAKE_CURRENT_BINARY_DIR}/${name}.pb-c)
		add_custom_command(
			OUTPUT ${pb}.c ${pb}.h
			COMMAND ${PROTOC_C} --c_out=${CMAKE_CURRENT_BINARY_DIR} --proto_path=${CMAKE_CURRENT_SOURCE_DIR} ${name}.proto
			DEPENDS ${name}.proto
			VERBATIM)
		list(APPEND made ${pb}.c ${pb}.h)
	endforeach()
	set(${out} ${made} PARENT_SCOPE)
endfunction()

function(cs_unit_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;STAGES;LIBS" ${ARGN})
	string(REPLACE "/" "_" target "test_${name}")
	add_executable(${target} ${ARG_SOURCES})
	list(TRANSFORM ARG_STAGES PREPEND cs_)
	target_link_libraries(${target} PRIVATE cs_flags ${ARG_STAGES} ${ARG_LIBS} cmocka)
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
	add_test(NAME unit/${name} COMMAND ${target})
	set_tests_properties(unit/${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
