# What `cmake --install` gives an embedding project: find_package(quire CONFIG) with quire::quire and quire::core, and quire.pc.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(quire_core PROPERTIES EXPORT_NAME core)
install(TARGETS quire_core quire_host EXPORT quireTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
foreach(part core host)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${part}/quire DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library
          FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/$<IF:$<BOOL:${QUIRE_HOOKS}>,host/hooks,core/hooks_none>/quire_hooks.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)

set(QUIRE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/quire)
install(EXPORT quireTargets NAMESPACE quire:: DESTINATION ${QUIRE_PACKAGE_DIR} COMPONENT library)
# The headers use Boost.Intrusive, which is headers only.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/quireConfig.cmake
     "include(CMakeFindDependencyMacro)\nfind_dependency(Boost)\ninclude(\${CMAKE_CURRENT_LIST_DIR}/quireTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/quireConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/quireConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/quireConfigVersion.cmake
        DESTINATION ${QUIRE_PACKAGE_DIR} COMPONENT library)

set(QUIRE_PC_DEFINITIONS "")
if(QUIRE_HOOKS)
  set(QUIRE_PC_DEFINITIONS "-DQUIRE_HOOKS=1 -DQUIRE_CHECKS=1")
endif()
set(QUIRE_PC_LIBRARIES "")
if(QUIRE_COVERAGE)
  set(QUIRE_PC_LIBRARIES " --coverage")
endif()
file(RELATIVE_PATH QUIRE_PC_INCLUDE /${CMAKE_INSTALL_LIBDIR} /${CMAKE_INSTALL_INCLUDEDIR})
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/quire.pc @ONLY CONTENT
"libdir=\${pcfiledir}/..
includedir=\${libdir}/@QUIRE_PC_INCLUDE@

Name: quire
Description: Virtual memory with Linux semantics and copy-on-write page tables, for embedding
Version: @PROJECT_VERSION@
Libs: -L\${libdir} -lquire -lquire_core@QUIRE_PC_LIBRARIES@
Cflags: -std=c++23 -I\${includedir} @QUIRE_PC_DEFINITIONS@
")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/quire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
