package a.b;

import java.util.List;
import static java.util.Map.entry;

/** A thing. */
@Deprecated
public class Sample<T> extends Base implements Runnable {
    public static final int LIMIT = 10, OTHER = 2;
    private List<String> names = new ArrayList<>() {
        @Override
        public int size() { return 0; }
    };

    static { System.loadLibrary("x"); }

    enum Kind {
        SMALL(1) { int factor() { return 1; } },
        LARGE;

        private int size;

        Kind(int size) { this.size = size; }
    }

    Sample(int n) { this.n = n; }

    @Override
    public <X> String toString(
        List<X> items,
        int... more
    ) throws Exception {
        class Local { void inner() {} }
        Runnable later = () -> { };
        return "";
    }

    interface Visitor { int DEPTH = 1; void visit(T node); default void done() {} }

    record Pair(int left, int right) {
        Pair { check(); }
        static int count;
    }

    @interface Mark { String value() default ""; }
}
