# SPDX-License-Identifier: Apache-2.0
# The HTML exporter. html.c takes the parts of the page in with .incbin, which no dependency scanner
# sees: name them here, so that a change of the page builds it again.
list(APPEND CS_EXPORT_SOURCES html.c html_json.c html_rows.c html_spans.c html_trees.c)
set(CS_HTML_DIR ${CMAKE_CURRENT_LIST_DIR})
set(CS_HTML_PARTS page.html page.css tree.js spans.js graph.js tables.js timeline.js page.js)
list(TRANSFORM CS_HTML_PARTS PREPEND ${CS_HTML_DIR}/)
set_source_files_properties(html.c PROPERTIES
	COMPILE_DEFINITIONS "CS_HTML_DIR=\"${CS_HTML_DIR}\""
	OBJECT_DEPENDS "${CS_HTML_PARTS}")
