#include "scheduler/kube/http_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "curl/curl.h"

namespace muster {
namespace {

// A peer that answers nothing, not even keepalives, is gone after so long.
constexpr int kDeadPeerMs = 20'000;

int SetSocketOptions(void*, curl_socket_t fd, curlsocktype) {
  const int timeout = kDeadPeerMs;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
  return CURL_SOCKOPT_OK;
}

using Steady = std::chrono::steady_clock;
constexpr Steady::time_point kNever = Steady::time_point::max();

using HeaderList = std::shared_ptr<curl_slist>;

}  // namespace

class HttpClient::Io {
 public:
  Io(EventLoop& loop, ServerAccess access, HttpOptions options, Metrics* metrics);
  ~Io();

  uint64_t Enqueue(HttpRequest request, Done done, std::shared_ptr<HttpReader> reader);
  void Cancel(uint64_t id);
  void Deliver(std::function<void()> fn) { batch_.push_back(std::move(fn)); }
  const std::string& server() const { return access_.server; }

 private:
  struct Transfer {
    uint64_t id = 0;
    HttpRequest request;
    Done done;
    std::shared_ptr<HttpReader> reader;
    HttpResponse response;
    IdentityPtr identity;  // that it was sent with
    HeaderList headers;
    CURL* easy = nullptr;
    bool retried = false;   // after a 401
    bool has_data = false;  // the reader was given some this turn
    bool stopped = false;   // by its reader
    std::array<char, CURL_ERROR_SIZE> error;
  };
  using TransferPtr = std::unique_ptr<Transfer>;
  static constexpr int kLanes = 3;

  void Run();
  void TakeIncoming();
  void StartWhatMay();
  bool TakeToken();
  void Start(TransferPtr transfer);
  CURL* Handle();  // for current_
  HeaderList Headers(const Transfer& transfer);
  void Finish(CURL* easy, CURLcode result);
  void Complete(TransferPtr transfer);
  void EndTurn();
  void Wait();
  void Wake();
  void Park(const Transfer& transfer);

  static size_t OnHeader(char* data, size_t size, size_t count, void* transfer);
  static size_t OnWrite(char* data, size_t size, size_t count, void* transfer);
  static int OnSocket(CURL*, curl_socket_t fd, int what, void* self, void* known);
  static int OnTimer(CURLM*, long milliseconds, void* self);

  EventLoop& loop_;
  const ServerAccess access_;
  const HttpOptions options_;
  Metrics* const metrics_;
  std::string url_base_, connect_to_, host_, host_header_;
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);  // the loop's thread

  std::mutex mutex_;
  std::vector<TransferPtr> incoming_;  // guarded by mutex_
  std::vector<uint64_t> cancelled_;    // guarded by mutex_
  uint64_t next_id_ = 0;               // guarded by mutex_
  bool wake_sent_ = false;             // guarded by mutex_
  std::atomic<bool> stop_ = false;

  // I/O thread only.
  CURLM* multi_ = nullptr;
  int epoll_ = -1, wake_ = -1;
  std::array<std::deque<TransferPtr>, kLanes> waiting_;
  std::array<int, kLanes> running_{};
  absl::flat_hash_map<uint64_t, TransferPtr> active_;
  std::vector<CURL*> idle_;
  std::vector<std::function<void()>> batch_;
  IdentityPtr current_;  // that the idle handles and the headers are made for
  absl::flat_hash_map<std::pair<const char*, const char*>, HeaderList> headers_;  // of current_
  Steady::time_point curl_deadline_ = kNever;
  double tokens_ = 0;
  Steady::time_point tokens_at_;
  curl_slist* connect_to_list_ = nullptr;
  std::thread thread_;
};

HttpClient::Io::Io(EventLoop& loop, ServerAccess access, HttpOptions options, Metrics* metrics)
    : loop_(loop),
      access_(std::move(access)),
      options_(options),
      metrics_(metrics),
      url_base_(access_.server),
      tokens_(options.burst),
      tokens_at_(Steady::now()) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
  CURLU* url = curl_url();
  char *host = nullptr, *port = nullptr, *path = nullptr;
  if (curl_url_set(url, CURLUPART_URL, access_.server.c_str(), 0) == CURLUE_OK) {
    curl_url_get(url, CURLUPART_HOST, &host, 0);
    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    curl_url_get(url, CURLUPART_PATH, &path, 0);
    host_ = absl::StrCat(host, ":", port);
    if (!access_.tls_server_name.empty()) {
      // curl verifies the URL's host: the URL gets the name, and the connection the address.
      url_base_ =
          absl::StrCat("https://", access_.tls_server_name, ":", port, std::string_view(path) == "/" ? "" : path);
      connect_to_list_ = curl_slist_append(nullptr, absl::StrCat("::", host, ":", port).c_str());
      host_header_ = absl::StrCat("Host: ", host_);
    }
  }
  curl_free(host);
  curl_free(port);
  curl_free(path);
  curl_url_cleanup(url);

  multi_ = curl_multi_init();
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Io::OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Io::OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 256L);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, options_.http2 ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
  thread_ = std::thread([this] { Run(); });
}

HttpClient::Io::~Io() {
  *open_ = false;
  stop_ = true;
  Wake();
  thread_.join();
  for (auto& [id, transfer] : active_) {
    curl_multi_remove_handle(multi_, transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
  for (CURL* easy : idle_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
  curl_slist_free_all(connect_to_list_);
  close(epoll_);
  close(wake_);
}

// --- The other threads' side ------------------------------------------------------------------

uint64_t HttpClient::Io::Enqueue(HttpRequest request, Done done, std::shared_ptr<HttpReader> reader) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  transfer->reader = std::move(reader);
  std::lock_guard lock(mutex_);
  const uint64_t id = transfer->id = ++next_id_;
  incoming_.push_back(std::move(transfer));
  if (!std::exchange(wake_sent_, true)) Wake();
  return id;
}

void HttpClient::Io::Cancel(uint64_t id) {
  std::lock_guard lock(mutex_);
  cancelled_.push_back(id);
  if (!std::exchange(wake_sent_, true)) Wake();
}

void HttpClient::Io::Wake() {
  const uint64_t one = 1;
  // It can only fail when the count is full, and then the thread wakes anyway.
  if (write(wake_, &one, sizeof one) < 0) return;
}

// --- The I/O thread ---------------------------------------------------------------------------

void HttpClient::Io::Run() {
  while (!stop_) {
    TakeIncoming();
    StartWhatMay();
    EndTurn();
    Wait();
  }
}

void HttpClient::Io::TakeIncoming() {
  std::vector<TransferPtr> incoming;
  std::vector<uint64_t> cancelled;
  {
    std::lock_guard lock(mutex_);
    incoming.swap(incoming_);
    cancelled.swap(cancelled_);
    wake_sent_ = false;
  }
  for (TransferPtr& transfer : incoming) {
    waiting_[static_cast<size_t>(transfer->request.lane)].push_back(std::move(transfer));
  }
  for (const uint64_t id : cancelled) {
    for (auto& lane : waiting_) std::erase_if(lane, [id](const TransferPtr& t) { return t->id == id; });
    if (const auto it = active_.find(id); it != active_.end()) {
      --running_[static_cast<size_t>(it->second->request.lane)];
      // Its answer is not whole: the connection cannot be used again, which curl knows.
      Park(*it->second);
      active_.erase(it);
    }
  }
}

void HttpClient::Io::StartWhatMay() {
  const auto write = static_cast<size_t>(HttpRequest::Lane::kWrite);
  const auto background = static_cast<size_t>(HttpRequest::Lane::kBackground);
  const auto may_start = [&](size_t lane) {
    if (lane == write) return running_[lane] < options_.writes_in_flight;
    if (lane != background) return true;
    const bool writing = running_[write] > 0 || !waiting_[write].empty();
    return running_[lane] < (writing ? options_.background_beside_writes : options_.background_alone);
  };
  for (const size_t lane : {static_cast<size_t>(HttpRequest::Lane::kFree), write, background}) {
    while (!waiting_[lane].empty() && may_start(lane)) {
      if (!TakeToken()) return;
      TransferPtr next = std::move(waiting_[lane].front());
      waiting_[lane].pop_front();
      Start(std::move(next));
    }
  }
}

bool HttpClient::Io::TakeToken() {
  if (options_.qps <= 0) return true;
  const Steady::time_point now = Steady::now();
  const double most = std::max(1, options_.burst);
  tokens_ = std::min(most, tokens_ + std::chrono::duration<double>(now - tokens_at_).count() * options_.qps);
  tokens_at_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

CURL* HttpClient::Io::Handle() {
  if (!idle_.empty()) {
    CURL* easy = idle_.back();
    idle_.pop_back();
    return easy;
  }
  // What does not change from request to request.
  CURL* easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Io::OnHeader);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Io::OnWrite);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 10L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &SetSocketOptions);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, absl::ToInt64Milliseconds(options_.connect_timeout));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "muster");
  if (!access_.proxy.empty()) curl_easy_setopt(easy, CURLOPT_PROXY, access_.proxy.c_str());
  if (connect_to_list_ != nullptr) curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_list_);
  if (access_.insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  } else if (!access_.ca.empty()) {
    // The blob is ours and outlives the handle.
    curl_blob ca{const_cast<char*>(access_.ca.data()), access_.ca.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // none but these authorities
  }
  if (!current_->client_cert.empty()) {
    const ClientIdentity& identity = *current_;
    curl_blob cert{const_cast<char*>(identity.client_cert.data()), identity.client_cert.size(), CURL_BLOB_NOCOPY};
    curl_blob key{const_cast<char*>(identity.client_key.data()), identity.client_key.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
  return easy;
}

HeaderList HttpClient::Io::Headers(const Transfer& transfer) {
  const HttpRequest& request = transfer.request;
  HeaderList& cached = headers_[std::pair(request.content_type, request.accept)];
  if (cached != nullptr) return cached;
  curl_slist* list = curl_slist_append(nullptr, absl::StrCat("Accept: ", request.accept).c_str());
  list = curl_slist_append(list, "Expect:");
  if (*request.content_type != '\0') {
    list = curl_slist_append(list, absl::StrCat("Content-Type: ", request.content_type).c_str());
  }
  if (!host_header_.empty()) list = curl_slist_append(list, host_header_.c_str());
  if (!transfer.identity->token.empty()) {
    list = curl_slist_append(list, absl::StrCat("Authorization: Bearer ", transfer.identity->token).c_str());
  }
  cached = HeaderList(list, &curl_slist_free_all);
  return cached;
}

void HttpClient::Io::Start(TransferPtr transfer) {
  absl::StatusOr<IdentityPtr> identity = access_.identity->Get(absl::Now());
  if (!identity.ok()) {
    transfer->response.error = absl::StrCat(access_.server, ": no credentials: ", identity.status().message());
    Complete(std::move(transfer));
    return;
  }
  if (*identity != current_) {
    current_ = *identity;
    headers_.clear();
    for (CURL* easy : idle_) curl_easy_cleanup(easy);
    idle_.clear();
  }
  Transfer& t = *transfer;
  t.identity = current_;
  t.headers = Headers(t);
  t.response = {};
  t.error[0] = '\0';
  CURL* easy = t.easy = Handle();
  curl_easy_setopt(easy, CURLOPT_URL, absl::StrCat(url_base_, t.request.path).c_str());
  const bool get = std::string_view(t.request.method) == "GET";
  if (get) {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, nullptr);
  } else {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(t.request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t.request.body.data());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t.request.method);
  }
  // A stream keeps to a connection of its own: flow control shared with writes would couple them.
  const bool http2 = options_.http2 && t.reader == nullptr;
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t.headers.get());
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, absl::ToInt64Milliseconds(t.request.timeout));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, t.request.stall_timeout > absl::ZeroDuration() ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, absl::ToInt64Seconds(t.request.stall_timeout));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t.error.data());
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &t);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &t);
  ++running_[static_cast<size_t>(t.request.lane)];
  active_.emplace(t.id, std::move(transfer));
  curl_multi_add_handle(multi_, easy);
}

size_t HttpClient::Io::OnHeader(char* data, size_t size, size_t count, void* transfer) {
  const Transfer& t = *static_cast<Transfer*>(transfer);
  if (t.reader != nullptr && std::string_view(data, size * count) == "\r\n") OnWrite(data, 0, 0, transfer);
  return size * count;
}

size_t HttpClient::Io::OnWrite(char* data, size_t size, size_t count, void* transfer) {
  Transfer& t = *static_cast<Transfer*>(transfer);
  const size_t bytes = size * count;
  if (t.response.status == 0) {
    long status = 0;
    curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &status);
    t.response.status = static_cast<int>(status);
  }
  if (t.reader == nullptr || !t.response.ok()) {
    t.response.body.append(data, bytes);
    return bytes;
  }
  t.has_data = true;
  if (t.reader->OnData({data, bytes})) return bytes;
  t.stopped = true;
  return 0;  // ends it with CURLE_WRITE_ERROR
}

void HttpClient::Io::Park(const Transfer& transfer) {
  curl_multi_remove_handle(multi_, transfer.easy);
  if (transfer.identity == current_) {
    idle_.push_back(transfer.easy);
  } else {
    curl_easy_cleanup(transfer.easy);
  }
}

void HttpClient::Io::Finish(CURL* easy, CURLcode result) {
  Transfer* found = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, reinterpret_cast<char**>(&found));
  Transfer& t = *found;
  long status = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
  Park(t);
  if (metrics_ != nullptr) metrics_->ApiRequest(t.request.method, host_, static_cast<int>(status));
  auto node = active_.extract(t.id);
  TransferPtr transfer = std::move(node.mapped());
  --running_[static_cast<size_t>(t.request.lane)];
  if (result == CURLE_OK || t.stopped) {
    t.response.status = static_cast<int>(status);
    t.response.retry_after = absl::Seconds(retry_after);
  } else {
    t.response.status = 0;
    const char* detail = t.error[0] != '\0' ? t.error.data() : curl_easy_strerror(result);
    const bool certificate = result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE;
    t.response.error = absl::StrCat(access_.server, ": ", certificate ? "certificate not accepted: " : "", detail);
  }
  if (t.response.status == 401 && !std::exchange(t.retried, true)) {
    // Of many refused at once only the first makes it read anew.
    if (t.identity == current_) access_.identity->Refused();
    waiting_[static_cast<size_t>(t.request.lane)].push_front(std::move(transfer));
    return;
  }
  Complete(std::move(transfer));
}

void HttpClient::Io::Complete(TransferPtr transfer) {
  if (transfer->reader == nullptr) {
    batch_.push_back([done = std::move(transfer->done), response = std::move(transfer->response)]() mutable {
      done(std::move(response));
    });
    return;
  }
  if (transfer->has_data) transfer->reader->OnPause();
  transfer->has_data = false;
  std::optional<HttpRequest> next = transfer->reader->OnDone(std::move(transfer->response));
  if (!next.has_value()) return;
  transfer->request = *std::move(next);
  transfer->response = {};
  transfer->retried = transfer->stopped = false;
  waiting_[static_cast<size_t>(transfer->request.lane)].push_back(std::move(transfer));
}

void HttpClient::Io::EndTurn() {
  for (auto& [id, transfer] : active_) {
    if (std::exchange(transfer->has_data, false)) transfer->reader->OnPause();
  }
  if (batch_.empty()) return;
  loop_.Post([open = open_, batch = std::exchange(batch_, {})]() mutable {
    for (auto& fn : batch) {
      if (!*open) return;
      fn();
    }
  });
}

int HttpClient::Io::OnSocket(CURL*, curl_socket_t fd, int what, void* self, void* known) {
  Io& io = *static_cast<Io*>(self);
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(io.epoll_, EPOLL_CTL_DEL, fd, nullptr);
    return 0;
  }
  epoll_event event{};
  event.data.fd = fd;
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  epoll_ctl(io.epoll_, known != nullptr ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  if (known == nullptr) curl_multi_assign(io.multi_, fd, self);
  return 0;
}

int HttpClient::Io::OnTimer(CURLM*, long milliseconds, void* self) {
  static_cast<Io*>(self)->curl_deadline_ =
      milliseconds < 0 ? kNever : Steady::now() + std::chrono::milliseconds(milliseconds);
  return 0;
}

void HttpClient::Io::Wait() {
  using std::chrono::milliseconds;
  const Steady::time_point now = Steady::now();
  Steady::time_point until = std::min(curl_deadline_, now + std::chrono::seconds(1));
  const bool queued = std::any_of(waiting_.begin(), waiting_.end(), [](const auto& lane) { return !lane.empty(); });
  // Queued requests wait for an answer, which wakes, or for a token, which does not.
  if (queued && options_.qps > 0) until = std::min(until, now + milliseconds(1));
  const auto left = std::chrono::ceil<milliseconds>(until - now).count();
  std::array<epoll_event, 64> events;
  const int ready = epoll_wait(epoll_, events.data(), events.size(), static_cast<int>(std::max<int64_t>(left, 0)));
  int running = 0;
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.fd == wake_) {
      uint64_t count = 0;
      if (read(wake_, &count, sizeof count) < 0) continue;
      continue;
    }
    const int what = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                     ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                     ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(multi_, event.data.fd, what, &running);
  }
  if (Steady::now() >= curl_deadline_) {
    curl_deadline_ = kNever;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  int left_over = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left_over)) {
    if (message->msg == CURLMSG_DONE) Finish(message->easy_handle, message->data.result);
  }
}

// --- HttpClient -------------------------------------------------------------------------------

HttpClient::HttpClient(EventLoop& loop, ServerAccess access, HttpOptions options, Metrics* metrics)
    : io_(std::make_unique<Io>(loop, std::move(access), options, metrics)) {}
HttpClient::~HttpClient() = default;

void HttpClient::Send(HttpRequest request, Done done) { io_->Enqueue(std::move(request), std::move(done), nullptr); }
uint64_t HttpClient::Open(HttpRequest request, std::shared_ptr<HttpReader> reader) {
  return io_->Enqueue(std::move(request), nullptr, std::move(reader));
}
void HttpClient::Cancel(uint64_t id) { io_->Cancel(id); }
void HttpClient::Deliver(std::function<void()> fn) { io_->Deliver(std::move(fn)); }
const std::string& HttpClient::server() const { return io_->server(); }

std::string UrlEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      absl::StrAppend(&out, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return out;
}

}  // namespace muster
