#include "topology/device/device_selectors.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// CEL's limit of 1,000,000 is some 8 ms: 250,000 steps.
constexpr int64_t kCostAStep = 4, kStepsOfByte = 3;

void AddAttribute(cel::DeviceView& view, const std::string& name, const DeviceAttribute& attribute) {
  using Type = DeviceAttribute::Type;
  switch (attribute.type) {
    case Type::kInt: return attribute.list ? view.AddInts(name, attribute.ints) : view.AddInt(name, attribute.ints[0]);
    case Type::kBool:
      return attribute.list ? view.AddBools(name, {attribute.ints.begin(), attribute.ints.end()})
                            : view.AddBool(name, attribute.ints[0] != 0);
    case Type::kString:
      return attribute.list ? view.AddStrings(name, attribute.texts) : view.AddString(name, attribute.texts[0]);
    case Type::kVersion:
      return attribute.list ? view.AddVersions(name, attribute.texts) : view.AddVersion(name, attribute.texts[0]);
    case Type::kUnknown: return view.AddUnsupported(name);
  }
}

size_t IndexOf(const ResourceSlice& slice, const Device& device) {
  return static_cast<size_t>(&device - slice.devices.data());
}

// Upstream's advice to whoever wrote the selector.
std::string WithHint(std::string message) {
  if (absl::StrContains(message, "no such key:")) {
    message +=
        ". consider using CEL optional chaining (.? followed by orValue()) or guarding the check with has() for "
        "optional "
        "fields";
  }
  return message;
}

}  // namespace

template <typename Compile>
const DeviceSelectors::Program& DeviceSelectors::Compiled(Programs& programs, const std::string& expression,
                                                          Compile compile) {
  if (const auto known = programs.find(expression); known != programs.end()) return *known->second;
  if (selectors_.size() + derived_.size() >= kMostExpressions) {
    slices_.clear();
    selectors_.clear();
    derived_.clear();
  }
  steps_ += 1 + static_cast<int64_t>(expression.size()) * kStepsOfByte;
  return *programs.emplace(expression, std::make_unique<const Program>(compile(expression))).first->second;
}

const cel::DeviceView& DeviceSelectors::ViewOf(const ResourceSlice& slice, const Device& device) {
  if (viewed_ == &device) return view_;
  view_.Reset(slice.driver, device.allow_multiple_allocations.value_or(false));
  for (const auto& [name, attribute] : device.attributes) AddAttribute(view_, name, attribute);
  for (const auto& [name, capacity] : device.capacity) view_.AddCapacity(name, capacity.value.Text());
  viewed_ = &device;
  return view_;
}

void DeviceSelectors::Forget(const ResourceSlice& slice) {
  slices_.erase(&slice);
  viewed_ = nullptr;
}

SelectorAnswer DeviceSelectors::Matches(const std::string& expression, const ResourceSlice& slice,
                                        const Device& device) {
  using Answered = SelectorAnswer::Kind;
  steps_ = 0;
  const Program& program = Compiled(selectors_, expression, cel::Compile);
  if (!program.ok()) return {Answered::kCompileError, std::string(program.status().message()), steps_};
  Slice& known = slices_[&slice];
  Answers& answers = known.answers[&program];
  answers.resize(slice.devices.size());
  const size_t index = IndexOf(slice, device);
  if (answers[index] == kUnknown) answers[index] = Evaluate(*program, ViewOf(slice, device), known.errors);
  if (answers[index] < kError) return {answers[index] == kYes ? Answered::kYes : Answered::kNo, "", steps_};
  return {Answered::kRuntimeError, known.errors[answers[index] - kError], steps_};
}

uint32_t DeviceSelectors::Evaluate(const cel::Program& program, const cel::DeviceView& device,
                                   std::vector<std::string>& errors) {
  cel::Result result = program.Evaluate(device, scratch_);
  steps_ += 1 + static_cast<int64_t>(result.cost) / kCostAStep;
  if (result.outcome == cel::Result::Outcome::kValue) return result.value ? kYes : kNo;
  errors.push_back(WithHint(std::move(result.message)));
  return kError + static_cast<uint32_t>(errors.size()) - 1;
}

absl::StatusOr<DeviceAttribute> DeviceSelectors::Derive(const DerivedAttribute& attribute, const ResourceSlice& slice,
                                                        const Device& device) {
  const Program& program = Compiled(derived_, attribute.expression, cel::CompileDerived);
  if (!program.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("compile derived attribute ", attribute.name, " failed: ", program.status().message()));
  }
  absl::StatusOr<DeviceAttribute> value = program->Derive(ViewOf(slice, device), scratch_);
  if (value.ok()) return value;
  return absl::InvalidArgumentError(absl::StrCat("evaluate derived attribute ", attribute.name, " on device ",
                                                 DeviceId{slice.driver, slice.pool, device.name}.Text(),
                                                 " failed: ", value.status().message()));
}

void DeviceSelectors::Answer(DeviceQuestions& questions) {
  questions.selector = [this](const std::string& expression, const ResourceSlice& slice, const Device& device) {
    return Matches(expression, slice, device);
  };
  questions.derived = [this](const DerivedAttribute& attribute, const ResourceSlice& slice, const Device& device) {
    return Derive(attribute, slice, device);
  };
}

}  // namespace muster
