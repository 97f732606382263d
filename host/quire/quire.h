// The whole library: a machine, its address spaces and CPUs, snapshots. Start with
// quire/host/machine.h; examples/embed.cc shows it used.
#pragma once

#include "quire/host/cpu.h"
#include "quire/host/machine.h"
#include "quire/host/snapshot.h"
#include "quire/host/space.h"
#include "quire/uapi.h"
