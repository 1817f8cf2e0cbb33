// Every plugin of this build.
#ifndef MUSTER_PLUGINS_ALL_H_
#define MUSTER_PLUGINS_ALL_H_

#include "scheduler/framework/registry.h"

namespace muster {

// In the order and with the weights of kube-scheduler's default profile.
Registry AllPlugins();

}  // namespace muster

#endif  // MUSTER_PLUGINS_ALL_H_
