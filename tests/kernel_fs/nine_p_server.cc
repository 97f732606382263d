#include "kernel_fs/nine_p_server.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "fs/nine_p/protocol.h"

namespace quire::kernel::test {
namespace {

using nine_p::Message;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_string(std::string& out, std::string_view s) {
  put(out, static_cast<std::uint16_t>(s.size()));
  out += s;
}

}  // namespace

class NinePServer::Reader {
 public:
  Reader(const void* data, std::size_t size)
      : at_(static_cast<const char*>(data)), end_(at_ + size) {}
  template <typename T>
  T get() {
    T value{};
    if (end_ - at_ >= static_cast<std::ptrdiff_t>(sizeof value))
      std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }
  std::string string() { return bytes(get<std::uint16_t>()); }
  std::string bytes(std::size_t n) {
    n = std::min(n, static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, end_ - at_)));
    std::string s(at_, n);
    at_ += n;
    return s;
  }

 private:
  const char* at_;
  const char* end_;
};

bool NinePServer::Node::is_directory() const { return S_ISDIR(mode); }

NinePServer::NinePServer() : root_(std::make_shared<Node>()) {
  root_->mode = S_IFDIR | 0755;
  root_->number = ++last_number_;
}

NinePServer::NodeRef NinePServer::find(std::string_view path) {
  NodeRef node = root_;
  while (node && !path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name.empty()) continue;
    const auto it = node->children.find(std::string(name));
    node = it == node->children.end() ? nullptr : it->second;
  }
  return node;
}

NinePServer::NodeRef NinePServer::add(std::string_view path, std::uint32_t mode, std::string data) {
  const std::size_t slash = path.rfind('/');
  const NodeRef directory = find(path.substr(0, slash));
  NodeRef node = std::make_shared<Node>();
  node->mode = mode;
  node->data = std::move(data);
  node->number = ++last_number_;
  directory->children[std::string(path.substr(slash + 1))] = node;
  return node;
}

int NinePServer::total_requests() const {
  int total = 0;
  for (const auto& [type, count] : requests) total += count;
  return total;
}

void NinePServer::put_qid(Writer& out, const Node& node) {
  std::uint8_t type = 0;
  if (S_ISDIR(node.mode)) type = nine_p::Qid::kDirectory;
  if (S_ISLNK(node.mode)) type = nine_p::Qid::kSymlink;
  put(out, type);
  put(out, std::uint32_t{0});
  put(out, node.number);
}

std::size_t NinePServer::exchange(const void* request, std::size_t size, void* reply,
                                  std::size_t reply_size) {
  const std::lock_guard guard(lock_);
  Reader in(request, size);
  in.u32();
  const int type = in.get<std::uint8_t>();
  const auto tag = in.get<std::uint16_t>();
  ++requests[type];
  Writer fields;
  const int error = serve(type, in, fields);
  Writer out;
  if (error != 0) {
    fields.clear();
    put(fields, static_cast<std::uint32_t>(error));
  }
  put(out, static_cast<std::uint32_t>(nine_p::kHeaderSize + fields.size()));
  put(out, static_cast<std::uint8_t>(error != 0 ? static_cast<int>(Message::kRlerror) : type + 1));
  put(out, tag);
  out += fields;
  if (mangle) mangle(type, out);
  std::memcpy(reply, out.data(), std::min(out.size(), reply_size));
  return std::min(out.size(), reply_size);
}

void NinePServer::exchange_all(std::span<NinePExchange> exchanges) {
  ++rounds;
  NinePTransport::exchange_all(exchanges);
}

int NinePServer::serve(int type, Reader& in, Writer& out) {
  switch (static_cast<Message>(type)) {
    case Message::kTversion: {
      const std::uint32_t size = in.u32();
      put(out, size);
      put_string(out, in.string());
      return 0;
    }
    case Message::kTattach:
      fids_[in.u32()].node = root_;
      put_qid(out, *root_);
      return 0;
    case Message::kTwalk:
      return walk(in, out);
    case Message::kTgetattr:
      return getattr(in, out);
    case Message::kTsetattr:
      return setattr(in);
    case Message::kTreaddir:
      return readdir(in, out);
    case Message::kTlopen: {
      const NodeRef node = fids_[in.u32()].node;
      if ((node->mode & 0777) == 0) return EACCES;
      put_qid(out, *node);
      put(out, std::uint32_t{0});
      return 0;
    }
    case Message::kTreadlink:
      put_string(out, fids_[in.u32()].node->data);
      return 0;
    case Message::kTread: {
      const NodeRef node = fids_[in.u32()].node;
      const std::uint64_t offset = in.u64();
      const std::uint32_t count = in.u32();
      const std::string data =
          offset < node->data.size() ? node->data.substr(offset, count) : std::string();
      put(out, static_cast<std::uint32_t>(data.size()));
      out += data;
      return 0;
    }
    case Message::kTwrite: {
      const NodeRef node = fids_[in.u32()].node;
      const std::uint64_t offset = in.u64();
      const std::string data = in.bytes(in.u32());
      if (write_error != 0) return write_error;
      ++node->changes;
      if (node->data.size() < offset + data.size()) node->data.resize(offset + data.size());
      node->data.replace(offset, data.size(), data);
      put(out, static_cast<std::uint32_t>(data.size()));
      return 0;
    }
    case Message::kTmkdir:
    case Message::kTmknod:
    case Message::kTsymlink:
    case Message::kTlink:
      return make(in, out, type);
    case Message::kTunlinkat:
      return unlink(in);
    case Message::kTrenameat:
      return rename(in);
    case Message::kTclunk:
      return fids_.erase(in.u32()) == 1 ? 0 : EBADF;
    case Message::kTfsync:
      return 0;
    case Message::kTstatfs:
      put(out, std::uint32_t{0x01021997});
      put(out, std::uint32_t{4096});
      for (int i = 0; i < 6; ++i) put(out, std::uint64_t{1000});
      put(out, std::uint32_t{255});
      return 0;
    case Message::kRlerror:
      break;
  }
  return EOPNOTSUPP;
}

int NinePServer::walk(Reader& in, Writer& out) {
  NodeRef node = fids_[in.u32()].node;
  const std::uint32_t to = in.u32();
  const auto count = in.get<std::uint16_t>();
  Writer qids;
  std::uint16_t found = 0;
  for (; found < count; ++found) {
    const auto it = node->children.find(in.string());
    if (it == node->children.end()) break;
    node = it->second;
    put_qid(qids, *node);
  }
  if (found == 0 && count != 0) return ENOENT;
  if (found == count) fids_[to].node = node;
  put(out, found);
  out += qids;
  return 0;
}

int NinePServer::getattr(Reader& in, Writer& out) {
  const NodeRef node = fids_[in.u32()].node;
  put(out, nine_p::kGetattrBasic);
  put_qid(out, *node);
  put(out, node->mode);
  put(out, node->uid);
  put(out, node->gid);
  put(out, std::uint64_t{1});
  put(out, node->rdev);
  put(out, std::uint64_t{node->data.size()});
  put(out, std::uint64_t{4096});
  put(out, std::uint64_t{(node->data.size() + 511) / 512});
  for (int i = 0; i < 8; ++i) put(out, std::uint64_t{i % 2 == 0 ? 1000U : 5U + (i == 3 ? node->changes : 0)});
  put(out, std::uint64_t{0});
  put(out, std::uint64_t{0});
  return 0;
}

int NinePServer::setattr(Reader& in) {
  const NodeRef node = fids_[in.u32()].node;
  const std::uint32_t valid = in.u32(), mode = in.u32(), uid = in.u32(), gid = in.u32();
  const std::uint64_t size = in.u64();
  if ((valid & nine_p::kSetMode) != 0) node->mode = (node->mode & S_IFMT) | mode;
  if ((valid & nine_p::kSetUid) != 0) node->uid = uid;
  if ((valid & nine_p::kSetGid) != 0) node->gid = gid;
  if ((valid & nine_p::kSetSize) != 0) {
    node->data.resize(size);
    ++node->changes;
  }
  return 0;
}

int NinePServer::readdir(Reader& in, Writer& out) {
  const NodeRef node = fids_[in.u32()].node;
  std::uint64_t offset = in.u64();
  const std::uint32_t room = in.u32();
  std::vector<std::pair<std::string, NodeRef>> entries = {{".", node}, {"..", node}};
  entries.insert(entries.end(), node->children.begin(), node->children.end());
  Writer data;
  for (; offset < entries.size(); ++offset) {
    const auto& [name, child] = entries[offset];
    if (data.size() + 24 + name.size() > room) break;
    put_qid(data, *child);
    put(data, offset + 1);
    put(data, static_cast<std::uint8_t>((child->mode & S_IFMT) >> 12));
    put_string(data, name);
  }
  put(out, static_cast<std::uint32_t>(data.size()));
  out += data;
  return 0;
}

int NinePServer::make(Reader& in, Writer& out, int type) {
  const NodeRef directory = fids_[in.u32()].node;
  NodeRef node = std::make_shared<Node>();
  std::string name;
  if (type == static_cast<int>(Message::kTlink)) {
    node = fids_[in.u32()].node;
    name = in.string();
  } else if (type == static_cast<int>(Message::kTsymlink)) {
    name = in.string();
    node->data = in.string();
    node->mode = S_IFLNK | 0777;
  } else {
    name = in.string();
    node->mode = in.u32();
    if (type == static_cast<int>(Message::kTmkdir)) node->mode |= S_IFDIR;
  }
  if (directory->children.contains(name)) return EEXIST;
  if (node->number == 0) node->number = ++last_number_;
  directory->children[name] = node;
  put_qid(out, *node);
  return 0;
}

int NinePServer::unlink(Reader& in) {
  const NodeRef directory = fids_[in.u32()].node;
  const std::string name = in.string();
  const bool wants_directory = (in.u32() & nine_p::kRemoveDirectory) != 0;
  const auto it = directory->children.find(name);
  if (it == directory->children.end()) return ENOENT;
  if (it->second->is_directory() != wants_directory) return wants_directory ? ENOTDIR : EISDIR;
  if (!it->second->children.empty()) return ENOTEMPTY;
  directory->children.erase(it);
  return 0;
}

int NinePServer::rename(Reader& in) {
  const NodeRef from = fids_[in.u32()].node;
  const std::string name = in.string();
  const NodeRef to = fids_[in.u32()].node;
  const std::string new_name = in.string();
  const auto it = from->children.find(name);
  if (it == from->children.end()) return ENOENT;
  const NodeRef node = it->second;
  from->children.erase(it);
  to->children[new_name] = node;
  return 0;
}

}  // namespace quire::kernel::test
