# SPDX-License-Identifier: Apache-2.0
#
#   bpf_object(NAME INCLUDES dir ...)
#
# Compiles NAME.bpf.c with clang's BPF target, leaves out what only debuggers want (bpftool gen object) and generates a
# skeleton header, NAME.skel.h. The target NAME_skeleton carries its include path. Header dependencies
# come from clang's depfiles, so touching any header rebuilds exactly what includes it.

find_program(BPF_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 REQUIRED)
# Ubuntu's /usr/sbin/bpftool is a wrapper that insists on the running kernel's own package; the tool
# itself works with any kernel.
file(GLOB linux_tools_dirs /usr/lib/linux-tools/* /usr/lib/linux-tools-*)
find_program(BPFTOOL NAMES bpftool HINTS ${linux_tools_dirs} PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
	set(BPF_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	set(BPF_ARCH arm64)
else()
	message(FATAL_ERROR "no BPF target for ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# clang's BPF target does not know where the distribution keeps <asm/types.h>.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-multiarch OUTPUT_VARIABLE multiarch
	OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)

function(bpf_object name)
	cmake_parse_arguments(ARG "" "" "INCLUDES" ${ARGN})
	list(TRANSFORM ARG_INCLUDES PREPEND -I)
	set(source ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c)
	set(compiled ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
	set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.linked.bpf.o)
	set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
	add_custom_command(OUTPUT ${compiled}
		COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${BPF_ARCH}
			-Wall -Wextra -Werror -Wno-unused-parameter
			-Wno-gnu-variable-sized-type-not-at-end ${ARG_INCLUDES}
			-idirafter /usr/include/${multiarch}
			-MD -MF ${compiled}.d -MT ${compiled}
			-c ${source} -o ${compiled}
		DEPENDS ${source}
		DEPFILE ${compiled}.d
		COMMENT "BPF ${name}.bpf.c" VERBATIM)
	add_custom_command(OUTPUT ${skeleton}
		COMMAND ${BPFTOOL} gen object ${object} ${compiled}
		COMMAND ${CMAKE_COMMAND} -DBPFTOOL=${BPFTOOL} -DOBJECT=${object} -DNAME=${name}
			-DOUTPUT=${skeleton} -P ${PROJECT_SOURCE_DIR}/tools/cmake/gen_skeleton.cmake
		DEPENDS ${compiled}
		COMMENT "BPF skeleton ${name}.skel.h" VERBATIM)
	add_custom_target(${name}_skeleton_file DEPENDS ${skeleton})
	add_library(${name}_skeleton INTERFACE)
	target_include_directories(${name}_skeleton SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
	add_dependencies(${name}_skeleton ${name}_skeleton_file)
endfunction()
