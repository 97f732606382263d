// /proc/sysvipc (Linux v6.12 ipc/shm.c:sysvipc_shm_proc_show(), sem.c, msg.c).
#include "fs/procfs/text.h"
#include "ipc/message_queues.h"
#include "ipc/semaphores.h"
#include "ipc/shared_memory.h"

namespace quire::kernel {
namespace {

void write_head(const IpcObject& object, TextBuilder& text) {
  text.right(object.key, 10).text(" ").right(object.id, 10).text("  ");
  std::string mode;
  TextBuilder(mode).octal(object.mode, 0);
  if (mode.size() < 4) text.text(std::string(4 - mode.size(), ' '));
  text.text(mode).text(" ");
}

template <std::integral T>
void column(TextBuilder& text, T value, std::size_t width) {
  text.right(value, width).text(" ");
}

void write_owners(const IpcObject& object, TextBuilder& text) {
  for (const std::uint32_t id : {object.uid, object.gid, object.creator_uid, object.creator_gid}) column(text, id, 5);
}

}  // namespace

void write_shared_memory(std::string& out) {
  TextBuilder text(out);
  text.text("       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid");
  text.text("      atime      dtime      ctime                   rss                  swap\n");
  struct Line {
    RefPtr<SharedSegment> segment;
    std::string before, after;  ///< the number of its mappings, which is counted without the mutex
  };
  std::vector<Line> lines;
  {
    Guard guard(segment_table().mutex);
    segment_table().for_each([&](SharedSegment& segment) {
      Line& line = lines.emplace_back(RefPtr<SharedSegment>(&segment), "", "");
      TextBuilder before(line.before), after(line.after);
      write_head(segment, before);
      column(before, segment.size, 21);
      column(before, segment.creator, 5);
      column(before, segment.last, 5);
      write_owners(segment, after);
      for (const std::int64_t time : {segment.attached, segment.detached, segment.changed}) column(after, time, 10);
      column(after, segment.object().resident().bytes().raw(), 21);
      after.right(0, 21).text("\n");
    });
  }
  for (const Line& line : lines) {
    text.text(line.before).text(" ");
    column(text, count_mappings(*line.segment), 5);
    text.text(line.after);
  }
}

void write_semaphores(std::string& out) {
  TextBuilder text(out);
  text.text("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
  Guard guard(semaphore_table().mutex);
  semaphore_table().for_each([&](const SemaphoreSet& set) {
    write_head(set, text);
    column(text, set.all.size(), 10);
    write_owners(set, text);
    column(text, set.operated, 10);
    text.right(set.changed, 10).text("\n");
  });
}

void write_message_queues(std::string& out) {
  TextBuilder text(out);
  text.text("       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
  Guard guard(message_table().mutex);
  message_table().for_each([&](const MessageQueue& queue) {
    write_head(queue, text);
    text.text(" ");
    column(text, queue.bytes(), 10);
    column(text, queue.messages(), 10);
    column(text, queue.last_sender, 5);
    column(text, queue.last_receiver, 5);
    write_owners(queue, text);
    column(text, queue.sent, 10);
    column(text, queue.received, 10);
    text.right(queue.changed, 10).text("\n");
  });
}

}  // namespace quire::kernel
