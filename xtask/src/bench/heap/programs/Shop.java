import com.sun.management.HotSpotDiagnosticMXBean;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** A shop that never forgets: writes heap dumps of itself as it grows. `java Shop SESSIONS FILE [SESSIONS FILE]...`. */
public final class Shop {
    static final int ORDERS = 3;
    static final int LINES = 4;

    record LineItem(String sku, int quantity, long cents) {}

    record Order(long number, List<LineItem> lines) {}

    record Session(String user, List<Order> orders, Map<String, String> settings) {}

    static final Map<String, Session> SESSIONS = new HashMap<>();
    static final List<Consumer<String>> LISTENERS = new ArrayList<>();

    private Shop() {}

    public static void main(String[] arguments) throws IOException {
        HotSpotDiagnosticMXBean diagnostic = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        for (int step = 0; step < arguments.length; step += 2) {
            while (SESSIONS.size() < Integer.parseInt(arguments[step])) {
                open(SESSIONS.size());
            }
            // The bean refuses names that do not end in `.hprof`.
            File part = new File(arguments[step + 1] + ".part.hprof");
            diagnostic.dumpHeap(part.getPath(), true);
            if (!part.renameTo(new File(arguments[step + 1]))) {
                throw new IOException("not renamed: " + part);
            }
        }
    }

    private static void open(int number) {
        List<Order> orders = new ArrayList<>(ORDERS);
        for (int order = 0; order < ORDERS; order++) {
            List<LineItem> lines = new ArrayList<>();
            for (int line = 0; line < LINES; line++) {
                lines.add(new LineItem("sku-" + (number * 7 + line) % 5_000, line, number % 997));
            }
            orders.add(new Order((long) number * ORDERS + order, lines));
        }
        Map<String, String> settings = new HashMap<>();
        settings.put("theme", number % 2 == 0 ? "dark" : "light");
        settings.put("token", "x".repeat(16) + number);
        Session session = new Session("user-" + number % 10_000 + "@example.com", orders, settings);
        SESSIONS.put("sid-" + number, session);
        if (number % 3 == 0) {
            LISTENERS.add(sku -> session.settings().put("last", sku));
        }
    }
}
