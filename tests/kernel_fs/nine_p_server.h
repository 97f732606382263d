// A 9P2000.L server in the test's process: a tree in memory behind a transport, which counts
// requests and can be made to lie.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/console_port.h"

namespace quire::kernel::test {

class NinePServer final : public NinePTransport {
 public:
  struct Node {
    std::uint32_t mode = 0, uid = 0, gid = 0;
    std::uint64_t number = 0, rdev = 0;
    std::string data;  ///< contents, or a link's target
    std::uint64_t changes = 0;  ///< part of its time of change; tests that change contents raise it
    std::map<std::string, std::shared_ptr<Node>> children;
    [[nodiscard]] bool is_directory() const;
  };
  using NodeRef = std::shared_ptr<Node>;

  NinePServer();
  /// Makes something at an absolute path whose directory is there.
  NodeRef add(std::string_view path, std::uint32_t mode, std::string data = {});
  NodeRef find(std::string_view path);
  void remove_all() { root_->children.clear(); }

  std::size_t exchange(const void* request, std::size_t size, void* reply,
                       std::size_t reply_size) override;

  void exchange_all(std::span<NinePExchange> exchanges) override;

  /// Times somebody waited for replies.
  std::atomic<int> rounds = 0;
  /// Requests so far, by message type.
  std::map<int, int> requests;
  [[nodiscard]] int total_requests() const;
  [[nodiscard]] std::size_t open_fids() const { return fids_.size(); }
  /// If set, may change a reply before it is delivered: (request type, reply). The returned size is
  /// what exchange() says; by default the reply's own.
  std::function<void(int type, std::string& reply)> mangle;
  int write_error = 0;  ///< what writes fail with

 private:
  class Reader;
  struct Fid {
    NodeRef node;
  };
  using Writer = std::string;
  /// The reply's fields, or a positive errno.
  int serve(int type, Reader& in, Writer& out);
  int walk(Reader& in, Writer& out);
  int getattr(Reader& in, Writer& out);
  int setattr(Reader& in);
  int readdir(Reader& in, Writer& out);
  int make(Reader& in, Writer& out, int type);
  int unlink(Reader& in);
  int rename(Reader& in);
  void put_qid(Writer& out, const Node& node);

  std::mutex lock_;
  NodeRef root_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint32_t, Fid> fids_;
};

}  // namespace quire::kernel::test
