#pragma once
#include <vector>

namespace geo {

// no code here, only a class
class Shape;

template <typename T>
class Vec : public Base<T> {
 public:
  using value_type = T;
  explicit Vec(int n);
  Vec(const Vec&) = delete;
  ~Vec();
  virtual T at(int i) const { return data_[i]; }
  bool operator==(const Vec& other) const;
  operator bool() const;
  template <class U> void push(U&& u) {}
  static constexpr int kMax = 3;
  enum Mode { kFast, kSlow };
  struct Node { Node* next; };

 private:
  friend class Other;
  std::vector<T> data_;
};

}  // namespace geo
