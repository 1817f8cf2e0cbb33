#include "scheduler/sim/manifest_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace muster {

absl::StatusOr<std::string> ReadManifestFile(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return text;
}

absl::StatusOr<std::vector<std::string>> ManifestFiles(const std::string& path) {
  std::error_code error;
  if (path == "-" || !std::filesystem::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension();
    const bool known = extension == ".yaml" || extension == ".yml" || extension == ".json";
    if (known && it->is_regular_file(error)) files.push_back(it->path());
  }
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  if (files.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": has no .yaml, .yml or .json file"));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace muster
