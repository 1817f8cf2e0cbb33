// One kind's state and changes off the wire: what stands behind ApiServer::Watch.
#ifndef MUSTER_SCHEDULER_KUBE_LIST_WATCH_H_
#define MUSTER_SCHEDULER_KUBE_LIST_WATCH_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json_fwd.hpp"
#include "scheduler/kube/http_client.h"
#include "scheduler/kube/resources.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/json/json_stream.h"

namespace muster {

// What an answer means. Its message names the request ("GET /api/v1/pods: ...").
ApiStatus ToApiStatus(const HttpResponse& response, std::string_view request);
// The same for a meta/v1 Status.
ApiStatus ToApiStatus(const StatusView& status, std::string_view request);

// How the initial state is read.
enum class InitialState : uint8_t {
  kList,       // one list, then a watch from its version
  kWatchList,  // as the first part of a watch; a server that refuses it is asked for a list
};

struct ListWatchOptions {
  // The first time, while somebody waits for us, the faster way: 50,000 pods took 0.41 and 0.52 s
  // by list, 0.58 and 0.60 s by watch-list (1.37.1, two cores).
  InitialState initial = InitialState::kList;
  // Later, when many clients come at once, the way that costs the server less memory.
  InitialState again = InitialState::kWatchList;
  Duration stall_timeout = absl::Seconds(90);  // bookmarks come every minute
};

// Lives on the I/O thread from Open() on; only Cancelled() is for others.
class ListWatch final : public HttpReader {
 public:
  // `watch_timeout`: after so long the server shall end the stream.
  ListWatch(HttpClient& http, Decoder& decoder, Kind kind, const Resource& resource, uint64_t resource_version,
            Duration watch_timeout, const ListWatchOptions& options, WatchHandler handler);

  HttpRequest FirstRequest();
  // The handler is not called any more. The loop's thread.
  void Cancel() { handler_->cancelled = true; }

  bool OnData(std::string_view bytes) override;
  void OnPause() override;
  std::optional<HttpRequest> OnDone(HttpResponse response) override;

 private:
  enum class Phase : uint8_t { kWatchList, kList, kWatch };
  struct Handler {  // the loop's thread
    WatchHandler call;
    bool cancelled = false;
  };

  HttpRequest Request(Phase phase);
  absl::Status Feed(std::string_view bytes);
  absl::Status FinishList();  // sets resource_version_
  void OnItem(std::string_view item);
  void OnListed(bool readable, WatchEvent event);
  void OnFrame(std::string_view frame);
  void OnJsonFrame(std::string_view text);
  void OnChange(WatchFrame::Type type, bool readable, WatchEvent event);
  void OnBookmark(uint64_t resource_version, bool initial_events_end);
  void OnUnreadable();
  bool Decode(std::string_view object, WatchEvent& event);
  bool DecodeJson(const nlohmann::json& object, WatchEvent& event);
  void End(ApiStatus status);

  HttpClient& http_;
  Decoder& decoder_;
  const Kind kind_;
  const Resource resource_;
  const std::string path_;  // of the resource: for messages
  const Duration watch_timeout_;
  const ListWatchOptions options_;
  const std::shared_ptr<Handler> handler_;
  Phase phase_;
  uint64_t resource_version_;
  // One of them, for the request under way.
  std::optional<ListSplitter> list_;
  std::optional<FrameSplitter> frames_;
  std::optional<JsonList> json_list_;
  std::optional<JsonSplitter> json_frames_;
  std::optional<ApiStatus> failed_;  // seen within the stream
  std::vector<WatchEvent> events_;   // not passed on yet
  bool accepted_ = false;            // likewise: that the server has
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_LIST_WATCH_H_
