# frozen_string_literal: true

require 'json'

# Top.
def helper(x)
  x
end

module Outer
  VERSION = '1.0'

  # A thing.
  class Shape < Base
    LEFT, RIGHT = 1, 2
    attr_reader :name

    def self.make(name)
      new(name)
    end

    class << self
      def registry; end
    end

    def area width, height = 1
      width * height
    end

    def ==(other)
      true
    end

    private def hidden = 1

    private

    def later!(&block)
      yield
    end
  end

  class Deep::Nested; end

  Point = Struct.new(:x) do
    def norm
      x
    end
  end
end
