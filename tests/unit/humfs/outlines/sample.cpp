#include "sample.h"

namespace geo {

class Box { public: Box(int w); int area() const; };

Box::Box(int w) : w_(w) {}

int Box::area() const { return 1; }

template <>
void ns::Vec<int>::push(int x) {}

namespace { int hidden() { return 0; } }

}  // namespace geo

namespace a::b { inline namespace v1 { int z; } }

using Names = std::vector<std::string>;

template <typename T>
concept Sized = requires(T t) { t.size(); };

extern "C" {
int plain(void);
}

auto tail(int x) -> int {
  auto lambda = [](int y) { return y; };
  return lambda(x);
}

enum class Color : int { Red, Green };
Color pick(1);
