#include <vector>

namespace geo {

template <typename T>
class Vec {
 public:
  T at(int i) const { return data_[i]; }

 private:
  std::vector<T> data_;
};

template <typename T>
T sum(const Vec<T>& v) {
  return v.at(0);
}

}  // namespace geo

int geo_main() { return 0; }
