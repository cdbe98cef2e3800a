# SPDX-License-Identifier: Apache-2.0
# bpftool prints the skeleton; a half-written file must not survive a failure.
execute_process(COMMAND ${BPFTOOL} gen skeleton ${OBJECT} name ${NAME} OUTPUT_FILE ${OUTPUT}.new RESULT_VARIABLE failed)
if(failed)
	file(REMOVE ${OUTPUT}.new)
	message(FATAL_ERROR "bpftool gen skeleton failed: ${failed}")
endif()
file(RENAME ${OUTPUT}.new ${OUTPUT})
