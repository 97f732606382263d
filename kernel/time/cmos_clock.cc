#include "time/cmos_clock.h"

#include "arch/registers.h"

namespace quire::kernel {
namespace {

// MC146818: index at port 0x70, data at 0x71. QEMU's answers are binary or BCD by register B, bit 2.
enum class Field : std::uint8_t { kSecond = 0, kMinute = 2, kHour = 4, kDay = 7, kMonth = 8, kYear = 9, kStatusA = 10, kStatusB = 11 };
constexpr std::uint8_t kUpdating = 0x80, kBinary = 0x04;

std::uint8_t read_field(Field field) {
  write_port8(0x70, static_cast<std::uint8_t>(field));
  return read_port8(0x71);
}

std::int64_t read_number(Field field, bool binary) {
  const std::uint8_t raw = read_field(field);
  return binary ? raw : (raw >> 4) * 10 + (raw & 15);
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March, so that a leap day is a year's last.
std::int64_t days_since_epoch(std::int64_t year, std::int64_t month, std::int64_t day) {
  if (month <= 2) --year;
  const std::int64_t month_from_march = (month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

}  // namespace

std::uint64_t read_cmos_clock() {
  while ((read_field(Field::kStatusA) & kUpdating) != 0) pause_cpu();
  const bool binary = (read_field(Field::kStatusB) & kBinary) != 0;
  const std::int64_t days = days_since_epoch(2000 + read_number(Field::kYear, binary), read_number(Field::kMonth, binary),
                                             read_number(Field::kDay, binary));
  const std::int64_t hours = days * 24 + read_number(Field::kHour, binary);
  const std::int64_t minutes = hours * 60 + read_number(Field::kMinute, binary);
  return static_cast<std::uint64_t>(minutes * 60 + read_number(Field::kSecond, binary));
}

}  // namespace quire::kernel
