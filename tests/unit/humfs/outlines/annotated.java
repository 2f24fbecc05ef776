import java.util.List;

public class T {
    enum K { A, B }

    private int n;

    T(int n) { this.n = n; }

    @Override
    public String toString() {
        return "" + n;
    }
}
