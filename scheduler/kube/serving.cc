#include "scheduler/kube/serving.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "civetweb.h"

namespace muster {

struct Serving::Impl {
  std::map<std::string, Page> pages;
  mg_context* context = nullptr;
  std::string last_message;

  ~Impl() {
    if (context != nullptr) mg_stop(context);
    mg_exit_library();
  }

  static void Write(mg_connection* connection, const ServedPage& page) {
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n\r\n",
              page.status, mg_get_response_code_text(connection, page.status), page.content_type.c_str(),
              page.body.size());
    const mg_request_info* request = mg_get_request_info(connection);
    if (std::string_view(request->request_method) != "HEAD") {
      mg_write(connection, page.body.data(), page.body.size());
    }
  }

  static int OnRequest(mg_connection* connection) {
    const mg_request_info* request = mg_get_request_info(connection);
    const auto* self = static_cast<const Impl*>(request->user_data);
    const std::string_view method = request->request_method;
    if (method != "GET" && method != "HEAD") {
      Write(connection, {405, "text/plain; charset=utf-8", "only GET\n"});
      return 1;
    }
    const auto page = self->pages.find(request->local_uri);
    Write(connection, page == self->pages.end() ? ServedPage{404, "text/plain; charset=utf-8", "404 page not found\n"}
                                                : page->second());
    return 1;
  }

  static int OnLog(const mg_connection* connection, const char* message) {
    // Only what Start() failed of is of interest.
    if (connection == nullptr) return 1;
    if (auto* self = static_cast<Impl*>(mg_get_user_data(mg_get_context(connection)))) self->last_message = message;
    return 1;
  }
};

Serving::Serving(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Serving::~Serving() = default;

absl::StatusOr<std::unique_ptr<Serving>> Serving::Start(const std::string& address, int port,
                                                        std::map<std::string, Page> pages) {
  mg_init_library(MG_FEATURES_DEFAULT);
  auto impl = std::make_unique<Impl>();
  impl->pages = std::move(pages);
  mg_callbacks callbacks{};
  callbacks.begin_request = &Impl::OnRequest;
  callbacks.log_message = &Impl::OnLog;
  const bool ipv6 = address.find(':') != std::string::npos && address.front() != '[';
  const std::string listen = absl::StrCat(ipv6 ? "[" : "", address, ipv6 ? "]:" : ":", port);
  const char* options[] = {"listening_ports",
                           listen.c_str(),
                           "num_threads",
                           "4",
                           "enable_keep_alive",
                           "yes",
                           "keep_alive_timeout_ms",
                           "5000",
                           "request_timeout_ms",
                           "10000",
                           nullptr};
  impl->context = mg_start(&callbacks, impl.get(), options);
  if (impl->context == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, impl->last_message.empty() ? "" : ": ", impl->last_message));
  }
  return std::unique_ptr<Serving>(new Serving(std::move(impl)));
}

int Serving::port() const {
  mg_server_port port{};
  return mg_get_server_ports(impl_->context, 1, &port) == 1 ? port.port : 0;
}

}  // namespace muster
