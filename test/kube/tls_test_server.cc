#include "test/kube/tls_test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace muster {
namespace {

// A self-signed certificate for 127.0.0.1, good for an hour.
std::string Certify(SSL_CTX* context) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_NAME* name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(cert, name);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1,DNS:kube.test");
  X509_add_ext(cert, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(cert, key, EVP_sha256());
  SSL_CTX_use_certificate(context, cert);
  SSL_CTX_use_PrivateKey(context, key);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, cert);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  X509_free(cert);
  EVP_PKEY_free(key);
  return pem;
}

class Fixed final : public IdentitySource {
 public:
  explicit Fixed(std::string token)
      : identity_(std::make_shared<ClientIdentity>(ClientIdentity{std::move(token), "", ""})) {}
  absl::StatusOr<IdentityPtr> Get(absl::Time) override { return identity_; }

 private:
  IdentityPtr identity_;
};

}  // namespace

std::shared_ptr<IdentitySource> FixedToken(std::string token) { return std::make_shared<Fixed>(std::move(token)); }

TlsTestServer::TlsTestServer(Handler handler) : handler_(std::move(handler)) {
  signal(SIGPIPE, SIG_IGN);
  context_ = SSL_CTX_new(TLS_server_method());
  certificate_ = Certify(context_);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 64) != 0) {
    std::perror("test server");
    std::abort();
  }
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TlsTestServer::~TlsTestServer() {
  stop_ = true;
  acceptor_.join();
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  close(listener_);
  SSL_CTX_free(context_);
}

std::string TlsTestServer::url() const { return absl::StrCat("https://127.0.0.1:", port_); }

ServerAccess TlsTestServer::Access(const std::string& token) const {
  ServerAccess access;
  access.server = url();
  access.ca = certificate_;
  access.identity = FixedToken(token);
  return access;
}

std::vector<std::string> TlsTestServer::Seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}

void TlsTestServer::Accept() {
  while (!stop_) {
    pollfd ready{listener_, POLLIN, 0};
    if (poll(&ready, 1, 20) <= 0) continue;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd, number = ++connections_] { Serve(fd, number); });
  }
}

void TlsTestServer::Serve(int fd, int number) {
  SSL* ssl = SSL_new(context_);
  SSL_set_fd(ssl, fd);
  std::string buffer;
  const auto more = [&] {
    char bytes[4096];
    const int n = SSL_read(ssl, bytes, sizeof bytes);
    if (n > 0) buffer.append(bytes, static_cast<size_t>(n));
    return n > 0;
  };
  bool going = SSL_accept(ssl) == 1;
  while (going && !stop_) {
    size_t end = 0;
    while (going && (end = buffer.find("\r\n\r\n")) == std::string::npos) going = more();
    if (!going) break;
    Request request;
    request.connection = number;
    std::string head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    size_t line_end = head.find("\r\n");
    const std::string first = head.substr(0, line_end);
    const size_t space = first.find(' '), last = first.rfind(' ');
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, last - space - 1);
    for (size_t at = line_end + 2; at < head.size(); at = line_end + 2) {
      line_end = head.find("\r\n", at);
      const std::string line = head.substr(at, line_end - at);
      const size_t colon = line.find(": ");
      if (colon != std::string::npos)
        request.headers[absl::AsciiStrToLower(line.substr(0, colon))] = line.substr(colon + 2);
    }
    const size_t length = static_cast<size_t>(std::atoi(request.headers["content-length"].c_str()));
    while (going && buffer.size() < length) going = more();
    if (!going) break;
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    {
      std::lock_guard lock(mutex_);
      seen_.push_back(absl::StrCat(request.method, " ", request.target));
    }
    Exchange exchange(ssl, *this);
    handler_(request, exchange);
    going = !exchange.dropped();
  }
  SSL_free(ssl);
  std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  close(fd);
}

void TlsTestServer::Exchange::Raw(std::string_view bytes) {
  if (!bytes.empty()) SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
}

void TlsTestServer::Exchange::Answer(int status, std::string_view content_type, std::string_view body,
                                     std::string_view more_headers) {
  std::string text = absl::StrCat("HTTP/1.1 ", status, " X\r\nContent-Length: ", body.size(), "\r\nContent-Type: ");
  text.append(content_type).append("\r\n").append(more_headers).append("\r\n").append(body);
  Raw(text);
}

void TlsTestServer::Exchange::BeginChunks(std::string_view content_type) {
  std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: ";
  text.append(content_type).append("\r\n\r\n");
  Raw(text);
}

void TlsTestServer::Exchange::Chunk(std::string_view bytes) {
  std::string text = absl::StrFormat("%x\r\n", bytes.size());
  text.append(bytes).append("\r\n");
  Raw(text);
}

void TlsTestServer::Exchange::Hang() {
  dropped_ = true;
  while (!server_.stop_) {
    pollfd ready{SSL_get_fd(ssl_), POLLIN, 0};
    if (poll(&ready, 1, 20) > 0) return;  // it closes, or is made to
  }
}

}  // namespace muster
