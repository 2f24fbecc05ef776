module M
  class A
    LIMIT = 1

    def self.make
      new
    end

    def run(x)
      x
    end
  end
end
