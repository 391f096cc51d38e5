import com.sun.management.GarbageCollectionNotificationInfo;
import com.sun.management.UnixOperatingSystemMXBean;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.lang.management.MemoryUsage;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import javax.management.NotificationEmitter;
import javax.management.openmbean.CompositeData;

/**
 * A small shopping-cart service on com.sun.net.httpserver, healthy or leaking in one chosen way.
 * It must stay one file without dependencies and must not grow in any way that `--leak` did not ask for.
 */
public final class Service {
    static final int KIB = 1024;
    static final int WORKER_THREADS = 4;
    /** Longer user names are cut, so that a client cannot choose how much a session holds. */
    static final int USER_LENGTH_MAX = 64;

    private Service() {}

    public static void main(String[] arguments) throws IOException {
        Options options;
        try {
            options = Options.parse(arguments);
        } catch (IllegalArgumentException refused) {
            System.err.println(refused.getMessage());
            System.exit(2);
            return;
        }
        if (options == null) {
            System.out.print(Options.usage());
            return;
        }
        // The server of the JDK otherwise waits for acknowledgements: 40 ms per request on a kept connection.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server;
        try {
            server = HttpServer.create(new InetSocketAddress("127.0.0.1", options.port), 0);
        } catch (IOException failure) {
            System.err.println("cannot listen on 127.0.0.1:" + options.port + ": " + failure.getMessage());
            System.exit(1);
            return;
        }
        server.setExecutor(Executors.newFixedThreadPool(WORKER_THREADS));
        server.createContext("/", new Routes(options)::answer);
        server.start();
        if (options.exitWithStdin) {
            Thread watcher = new Thread(Service::exitWithStdin, "stdin-watcher");
            watcher.setDaemon(true);
            watcher.start();
        }
        System.out.println(Json.of(Json.object("listening", "http://127.0.0.1:" + server.getAddress().getPort(),
                "runtime", "java", "leak", options.leak, "pid", ProcessHandle.current().pid())));
    }

    private static void exitWithStdin() {
        try {
            while (System.in.read() >= 0) {
                // What the parent writes does not matter, only that it still could.
            }
        } catch (IOException closed) {
            // A standard input that cannot be read has ended.
        }
        System.exit(0);
    }

    // ---- command line -----------------------------------------------------------------------------------------------

    static final class Options {
        static final Map<String, String> FLAGS = new LinkedHashMap<>();

        static {
            FLAGS.put("--port", "N                    port on 127.0.0.1; 0 takes a free one (default 0)");
            FLAGS.put("--leak", "KIND                 which leak to have (default none)");
            FLAGS.put("--rate", "BYTES_PER_REQUEST    bytes each work request leaks (default 65536)");
            FLAGS.put("--seed", "N                    seed of the generated carts (default 1)");
            FLAGS.put("--exit-with-stdin", "          exit when standard input ends");
            FLAGS.put("--help", "                     print this text");
        }

        int port;
        String leak = "none";
        int rateBytes = 64 * KIB;
        long seed = 1;
        boolean exitWithStdin;

        /** The options, or null when only help was asked for. */
        static Options parse(String[] arguments) {
            Options options = new Options();
            Iterator<String> rest = List.of(arguments).iterator();
            while (rest.hasNext()) {
                String[] parts = rest.next().split("=", 2);
                String flag = parts[0];
                switch (flag) {
                    case "--exit-with-stdin": options.exitWithStdin = true; break;
                    case "--help": return null;
                    case "--port": options.port = (int) wholeNumber(flag, value(parts, rest), 65535); break;
                    case "--rate": options.rateBytes = (int) wholeNumber(flag, value(parts, rest), 1 << 30); break;
                    case "--seed": options.seed = wholeNumber(flag, value(parts, rest), 0xffffffffL); break;
                    case "--leak": options.leak = leakKind(value(parts, rest)); break;
                    default: throw new IllegalArgumentException(
                            "unknown flag `" + flag + "` (valid flags: " + String.join(", ", FLAGS.keySet()) + ")");
                }
            }
            return options;
        }

        static String usage() {
            StringBuilder text = new StringBuilder("usage: Service [flags]\n");
            FLAGS.forEach((flag, help) -> text.append("  ").append(flag).append(' ').append(help).append('\n'));
            return text + "leak kinds: " + String.join(", ", Leaks.KINDS.keySet()) + "\n";
        }

        private static String value(String[] parts, Iterator<String> rest) {
            return parts.length == 2 ? parts[1] : rest.hasNext() ? rest.next() : "";
        }

        private static long wholeNumber(String flag, String text, long max) {
            if (!text.matches("[0-9]{1,10}") || Long.parseLong(text) > max) {
                throw new IllegalArgumentException(
                        "`" + flag + "` wants a whole number from 0 to " + max + ", found `" + text + "`");
            }
            return Long.parseLong(text);
        }

        private static String leakKind(String text) {
            if (!Leaks.KINDS.containsKey(text)) {
                throw new IllegalArgumentException("`--leak` wants a leak kind, found `" + text + "` (valid kinds: "
                        + String.join(", ", Leaks.KINDS.keySet()) + ")");
            }
            return text;
        }
    }

    // ---- the work ---------------------------------------------------------------------------------------------------

    /** Random numbers and texts of one seed, safe to share between threads. */
    static final class Dice {
        private final Random random;
        private final byte[] letters = new byte[256 * KIB];

        Dice(long seed) {
            random = new Random(seed);
            for (int index = 0; index < letters.length; index++) {
                letters[index] = (byte) ('a' + below(26));
            }
        }

        int below(int limit) {
            return random.nextInt(limit);
        }

        String text(int length) {
            return new String(letters, below(letters.length - length), length, StandardCharsets.ISO_8859_1);
        }

        /** About `nBytes` of strings of at most 1 KiB each. */
        List<String> texts(int nBytes) {
            List<String> texts = new ArrayList<>(nBytes / KIB + 1);
            for (int start = 0; start < nBytes; start += KIB) {
                texts.add(text(Math.min(KIB, nBytes - start)));
            }
            return texts;
        }

        /** Writes every byte of a buffer, so that it is resident. */
        void touch(ByteBuffer buffer) {
            while (buffer.hasRemaining()) {
                buffer.put(letters, 0, Math.min(letters.length, buffer.remaining()));
            }
        }
    }

    record CartLine(String sku, int quantity, int cents, String note) {
        int total() {
            return quantity * cents;
        }
    }

    record Cart(String user, List<CartLine> lines, long total) {
        static final int LINES = 48;

        static Cart build(Dice dice, String user) {
            List<CartLine> lines = new ArrayList<>(LINES);
            for (int index = 0; index < LINES; index++) {
                lines.add(new CartLine("sku-" + dice.below(100_000), 1 + dice.below(9), dice.below(50_000), dice.text(240)));
            }
            lines.sort(Comparator.comparingInt(CartLine::total).reversed().thenComparing(CartLine::sku));
            return new Cart(user, lines, lines.stream().mapToLong(CartLine::total).sum());
        }

        String document() {
            List<Object> rows = new ArrayList<>();
            for (CartLine line : lines) {
                rows.add(Json.object("sku", line.sku, "quantity", line.quantity, "cents", line.cents, "note", line.note));
            }
            return Json.of(Json.object("user", user, "lines", rows, "total", total));
        }

        String page() {
            StringBuilder page = new StringBuilder(16 * KIB);
            page.append("<h1>").append(escapedHtml(user)).append("</h1><table>");
            for (CartLine line : lines) {
                page.append("<tr><td>").append(line.sku).append("</td><td>").append(line.quantity).append("</td><td>")
                        .append(line.cents / 100).append('.').append(line.cents % 100 / 10).append(line.cents % 10)
                        .append("</td><td>").append(line.note).append("</td></tr>\n");
            }
            return page.append("</table>").toString();
        }

        private static String escapedHtml(String text) {
            return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
        }
    }

    /** Pages by recency, about 16 KiB each, so 4 MiB when full. Full: the least recently used page is evicted. */
    static final class BoundedPageCache extends LinkedHashMap<String, String> {
        private static final long serialVersionUID = 1;
        static final int ENTRIES = 256;

        BoundedPageCache() {
            super(ENTRIES, 0.75f, true);
        }

        synchronized String getOrRender(String key, Cart cart) {
            return computeIfAbsent(key, absent -> cart.page());
        }

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, String> eldest) {
            return size() > ENTRIES;
        }
    }

    /** Sessions that end `TTL_NANOS` after their last request; the oldest stands first. */
    static final class ExpiringSessions {
        static final long TTL_NANOS = TimeUnit.SECONDS.toNanos(10);

        private record Session(long lastSeen, List<String> skus) {}

        private final LinkedHashMap<String, Session> byUser = new LinkedHashMap<>();

        synchronized void touch(Cart cart, long now) {
            byUser.remove(cart.user);
            byUser.put(cart.user, new Session(now, cart.lines.stream().map(CartLine::sku).toList()));
            Iterator<Session> oldest = byUser.values().iterator();
            while (now - oldest.next().lastSeen > TTL_NANOS) {
                oldest.remove();
            }
        }
    }

    /** Serves carts; everything a request registers it also removes, whatever happens in between. */
    static final class Shop {
        static final long REQUEST_DEADLINE_S = 5;
        /** Distinct carts that are asked for; far more than the cache holds, so that it fills and then evicts. */
        static final int CART_REVISIONS = 4096;

        private final Dice dice;
        private final BoundedPageCache pages = new BoundedPageCache();
        private final ExpiringSessions sessions = new ExpiringSessions();
        private final List<Consumer<String>> priceListeners = new CopyOnWriteArrayList<>();
        private final ScheduledThreadPoolExecutor deadlines = new ScheduledThreadPoolExecutor(1);

        Shop(Dice dice) {
            this.dice = dice;
            // Otherwise a cancelled deadline keeps its request until the time it was set for.
            deadlines.setRemoveOnCancelPolicy(true);
        }

        Map<String, Object> serve(String user) {
            boolean[] repriced = {false};
            Consumer<String> onPriceChange = sku -> repriced[0] = true;
            priceListeners.add(onPriceChange);
            ScheduledFuture<?> deadline = deadlines.schedule(() -> {}, REQUEST_DEADLINE_S, TimeUnit.SECONDS);
            try {
                Cart cart = Cart.build(dice, user);
                sessions.touch(cart, System.nanoTime());
                String page = pages.getOrRender("cart-" + dice.below(CART_REVISIONS), cart);
                return Json.object("user", user, "items", Cart.LINES, "total", cart.total, "repriced", repriced[0],
                        "etag", hash(cart.document(), page), "bytes", page.length());
            } finally {
                deadline.cancel(false);
                priceListeners.remove(onPriceChange);
            }
        }

        static String hash(String... texts) {
            try {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                for (String text : texts) {
                    digest.update(text.getBytes(StandardCharsets.UTF_8));
                }
                return HexFormat.of().formatHex(digest.digest());
            } catch (NoSuchAlgorithmException absent) {
                throw new IllegalStateException("every JDK has SHA-256", absent);
            }
        }
    }

    // ---- the leaks --------------------------------------------------------------------------------------------------
    // Each is a mistake of production code, in a class of its own name, so that a heap analysis can point at it.

    record WorkRequest(String user, long number, int rateBytes, Dice dice) {
        List<String> texts() {
            return dice.texts(rateBytes);
        }
    }

    static final class Leaks {
        static final Map<String, Consumer<WorkRequest>> KINDS = new LinkedHashMap<>();

        static {
            KINDS.put("none", request -> {});
            KINDS.put("static-collection", AuditTrail::append);
            KINDS.put("threadlocal", RequestContext::remember);
            KINDS.put("session-map", SessionStore::open);
            KINDS.put("listener", InventoryBus::subscribe);
            KINDS.put("native-buffer", ThumbnailCache::keep);
            KINDS.put("unbounded-cache", RecommendationCache::remember);
            KINDS.put("descriptor", ConnectionPool::open);
            KINDS.put("tiny-objects", TinyClick::chain);
            KINDS.put("thread", Reservations::await);
        }

        private Leaks() {}
    }

    /** A debug list that nobody ever reads or cuts. */
    static final class AuditTrail {
        record AuditEntry(String user, long number, List<String> document) {}

        private static final List<AuditEntry> ENTRIES = Collections.synchronizedList(new ArrayList<>());

        static void append(WorkRequest request) {
            ENTRIES.add(new AuditEntry(request.user, request.number, request.texts()));
        }
    }

    /** The context of a request, never cleared: the thread goes back to the pool and keeps it. */
    static final class RequestContext {
        private static final ThreadLocal<RequestContext> CURRENT = ThreadLocal.withInitial(RequestContext::new);
        private final List<List<String>> breadcrumbs = new ArrayList<>();

        static void remember(WorkRequest request) {
            CURRENT.get().breadcrumbs.add(request.texts());
        }
    }

    /** A session for each request of a client that sends no cookie, without an end. */
    static final class SessionStore {
        record UserSession(String user, long openedAt, List<String> history) {}

        private static final Map<String, UserSession> SESSIONS = new ConcurrentHashMap<>();

        static void open(WorkRequest request) {
            UserSession session = new UserSession(request.user, System.currentTimeMillis(), request.texts());
            SESSIONS.put(Shop.hash(request.user + "/" + request.number), session);
        }
    }

    /** The subscriber is gone after the response, its listener stays. */
    static final class InventoryBus {
        static final class StockListener {
            private final List<String> snapshot;

            StockListener(List<String> snapshot) {
                this.snapshot = snapshot;
            }

            boolean onStockChange(String sku) {
                return snapshot.contains(sku);
            }
        }

        private static final List<StockListener> LISTENERS = Collections.synchronizedList(new ArrayList<>());

        static void subscribe(WorkRequest request) {
            LISTENERS.add(new StockListener(request.texts()));
        }
    }

    /** Thumbnails outside the heap: the heap looks fine, the resident set does not. */
    static final class ThumbnailCache {
        private static final List<ByteBuffer> THUMBNAILS = Collections.synchronizedList(new ArrayList<>());

        static void keep(WorkRequest request) {
            ByteBuffer thumbnail = ByteBuffer.allocateDirect(request.rateBytes);
            request.dice.touch(thumbnail);
            THUMBNAILS.add(thumbnail);
        }
    }

    /** Every lookup misses, because two equal keys are not equal, and every miss adds an entry. */
    static final class RecommendationCache {
        /** Lacks `equals` and `hashCode`. */
        static final class RecommendationKey {
            final String user;

            RecommendationKey(String user) {
                this.user = user;
            }
        }

        private static final Map<RecommendationKey, List<String>> RECOMMENDATIONS = new ConcurrentHashMap<>();

        static void remember(WorkRequest request) {
            RECOMMENDATIONS.computeIfAbsent(new RecommendationKey(request.user), key -> request.texts());
        }
    }

    /** Connections that nobody returns to the pool, each with the buffer that belongs to it. */
    static final class ConnectionPool {
        private record Connection(InputStream stream, List<String> buffer) {}

        private static final List<Connection> LOST = Collections.synchronizedList(new ArrayList<>());

        static void open(WorkRequest request) {
            LOST.add(new Connection(openedStream(), request.texts()));
        }

        static InputStream openedStream() {
            try {
                return new FileInputStream("/dev/null");
            } catch (IOException failure) {
                throw new java.io.UncheckedIOException(failure);
            }
        }
    }

    /** Millions of small objects instead of some large ones: each click knows the one before. */
    record TinyClick(TinyClick before, long at) {
        /** A header of 12, a compressed reference and the time. */
        static final int N_BYTES = 24;
        private static TinyClick last;

        static synchronized void chain(WorkRequest request) {
            for (int start = 0; start < request.rateBytes; start += N_BYTES) {
                last = new TinyClick(last, start);
            }
        }
    }

    /** Workers that wait for an answer nobody sends; each holds its order for ever. */
    static final class Reservations {
        private static final CountDownLatch RESERVED = new CountDownLatch(1);

        static void await(WorkRequest request) {
            List<String> order = request.texts();
            Thread worker = new Thread(() -> reserve(order), "reservation-" + request.number);
            worker.setDaemon(true);
            worker.start();
        }

        private static void reserve(List<String> order) {
            try {
                RESERVED.await();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
            order.add("reserved");
        }
    }

    // ---- what a client has it hold ----------------------------------------------------------------------------------

    /** Memory that `POST /hold` sizes: no leak, since whoever asks for it can have it released. */
    static final class Held {
        static final int BYTES_MAX = 1 << 30;
        static final int BLOCK_BYTES = 4 * KIB;
        static final int BLOCK_BYTES_MAX = 128 * KIB;
        static final int DESCRIPTORS_MAX = 4096;

        private record Block(Object content, int bytes) {}

        private final Dice dice;
        private final List<Block> blocks = new ArrayList<>();
        private final List<InputStream> streams = new ArrayList<>();
        private final MappedFile mapped = new MappedFile();
        private long held;

        Held(Dice dice) {
            this.dice = dice;
        }

        synchronized Map<String, Object> set(Map<String, String> query) {
            try {
                long bytes = number(query, "bytes", held, BYTES_MAX);
                int block = (int) Math.max(1, number(query, "block", BLOCK_BYTES, BLOCK_BYTES_MAX));
                boolean direct = "native".equals(query.get("where"));
                release(Math.max(held - bytes, 0) + number(query, "renew", 0, BYTES_MAX), "random".equals(query.get("order")));
                for (; held + block <= bytes; held += block) {
                    blocks.add(new Block(direct ? direct(block) : dice.text(block), block));
                }
                long nStreams = number(query, "descriptors", streams.size(), DESCRIPTORS_MAX);
                while (streams.size() < nStreams) {
                    streams.add(ConnectionPool.openedStream());
                }
                while (streams.size() > nStreams) {
                    streams.remove(streams.size() - 1).close();
                }
                mapped.resize(number(query, "mapped", mapped.bytes(), BYTES_MAX));
            } catch (IOException failure) {
                throw new java.io.UncheckedIOException(failure);
            }
            return Json.object("bytes", held, "blocks", blocks.size(), "descriptors", streams.size(), "mapped", mapped.bytes());
        }

        private static long number(Map<String, String> query, String name, long fallback, long max) {
            String text = query.getOrDefault(name, "");
            return text.matches("[0-9]{1,10}") ? Math.min(Long.parseLong(text), max) : fallback;
        }

        private ByteBuffer direct(int bytes) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(bytes);
            dice.touch(buffer);
            return buffer;
        }

        private void release(long bytes, boolean random) {
            int oldest = 0;
            for (long freed = 0; freed < bytes && oldest < blocks.size();) {
                Block block = blocks.get(oldest);
                if (random) {
                    block = blocks.set(dice.below(blocks.size()), blocks.get(blocks.size() - 1));
                    blocks.remove(blocks.size() - 1);
                } else {
                    oldest++;
                }
                freed += block.bytes;
                held -= block.bytes;
            }
            blocks.subList(0, oldest).clear();
        }
    }

    /** A file in the page cache that is mapped as well: resident, but the kernel's to take back. It has no name. */
    static final class MappedFile {
        static final int SEGMENT_BYTES = 1 << 20;

        private final List<MappedByteBuffer> segments = new ArrayList<>();
        private FileChannel file;

        long bytes() {
            return (long) segments.size() * SEGMENT_BYTES;
        }

        void resize(long bytes) throws IOException {
            while (bytes() + SEGMENT_BYTES <= bytes) {
                if (file == null) {
                    Path path = Files.createTempFile("mapped", null);
                    file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
                    Files.delete(path);
                }
                ByteBuffer filler = ByteBuffer.allocate(SEGMENT_BYTES);
                java.util.Arrays.fill(filler.array(), (byte) 'z');
                file.write(filler, bytes());
                segments.add(file.map(FileChannel.MapMode.READ_ONLY, bytes(), SEGMENT_BYTES).load());
            }
            while (bytes() > bytes) {
                // The collector unmaps it.
                segments.remove(segments.size() - 1);
            }
        }
    }

    // ---- what the service says about itself ---------------------------------------------------------------------------

    /** Memory of this process and its host, from the kernel and the JVM. */
    static final class Memory {
        static final List<MemoryPoolMXBean> POOLS = ManagementFactory.getMemoryPoolMXBeans();

        private Memory() {}

        static long residentBytes() {
            return procField("/proc/self/status", "VmRSS") * KIB;
        }

        static long heapUsedBytes() {
            return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
        }

        /**
         * What the last collection of each heap pool but eden left in it, or -1 before the first collection of the
         * old generation: until then the JVM says 0, which would be a lie.
         */
        static long heapAfterGcBytes() {
            long total = 0;
            boolean oldCollected = false;
            for (MemoryPoolMXBean pool : POOLS) {
                MemoryUsage after = pool.getType() == MemoryType.HEAP ? pool.getCollectionUsage() : null;
                if (after != null && !pool.getName().contains("Eden")) {
                    total += after.getUsed();
                    oldCollected |= longLived(pool) && after.getUsed() > 0;
                }
            }
            return oldCollected ? total : -1;
        }

        /** What the last collection of the old generation left in it; 0 before the first, as Micrometer has it. */
        static long liveDataBytes() {
            long total = 0;
            for (MemoryPoolMXBean pool : POOLS) {
                if (longLived(pool) && pool.getCollectionUsage() != null) {
                    total += pool.getCollectionUsage().getUsed();
                }
            }
            return total;
        }

        private static boolean longLived(MemoryPoolMXBean pool) {
            String name = pool.getName();
            return name.endsWith("Old Gen") || name.startsWith("Tenured") || name.equals("ZHeap")
                    || name.startsWith("ZGC Old") || name.startsWith("Shenandoah");
        }

        /** The first number after a name in a file of lines such as `MemTotal:  123 kB`, or 0. */
        static long procField(String path, String name) {
            try {
                for (String line : Files.readAllLines(Path.of(path))) {
                    String[] words = line.split("[:\\s]+");
                    if (words.length > 1 && words[0].equals(name)) {
                        return Long.parseLong(words[1]);
                    }
                }
            } catch (IOException | NumberFormatException unreadable) {
                return 0;
            }
            return 0;
        }

        /** Free is what the kernel calls available. */
        static Map<String, Object> ofHost() {
            long total = procField("/proc/meminfo", "MemTotal") * KIB;
            long free = procField("/proc/meminfo", "MemAvailable") * KIB;
            double percent = Math.round(1000.0 * (total - free) / Math.max(1, total)) / 10.0;
            return Json.object("total", total, "used", total - free, "free", free, "percent", percent);
        }
    }

    static final class Status {
        final AtomicLong requestsTotal = new AtomicLong();
        private final AtomicLong rssFirst = new AtomicLong();

        static double startTime() {
            return ManagementFactory.getRuntimeMXBean().getStartTime() / 1000.0;
        }

        Map<String, Object> memory() {
            Map<String, Object> fields = Json.object("memory_usage", Memory.residentBytes(),
                    "heap_size", Memory.heapUsedBytes(), "limit", Runtime.getRuntime().maxMemory(),
                    "requests_total", requestsTotal.get(), "start_time", startTime());
            long heapAfterGc = Memory.heapAfterGcBytes();
            if (heapAfterGc >= 0) {
                fields.put("heap_after_gc", heapAfterGc);
            }
            return fields;
        }

        /** Growth since the first look: what a service that knows no better would say. */
        Map<String, Object> indicators() {
            long rss = Memory.residentBytes();
            rssFirst.compareAndSet(0, rss);
            double score = Math.max(0, Math.round(100.0 * rss / rssFirst.get() - 100.0) / 100.0);
            return Json.object("leak_score", score, "status", score < 0.5 ? "ok" : score < 2 ? "warning" : "critical");
        }

        String page() {
            return String.format(Locale.ROOT, """
                    <!doctype html>
                    <html lang="en"><head><meta charset="utf-8"><title>cart service</title></head><body>
                    <h1>Cart service (java)</h1>
                    <table>
                    <tr><th>Resident memory</th><td id="rss">%.1f MB</td></tr>
                    <tr><th>Heap in use</th><td id="heap">%.1f MB</td></tr>
                    <tr><th>Work requests</th><td id="requests">%d</td></tr>
                    <tr><th>Uptime</th><td id="uptime">%d s</td></tr>
                    </table>
                    </body></html>
                    """, Memory.residentBytes() / 1e6, Memory.heapUsedBytes() / 1e6, requestsTotal.get(),
                    ManagementFactory.getRuntimeMXBean().getUptime() / 1000);
        }
    }

    /** Count and total time of what happened under one set of tags. */
    record Timed(long count, double seconds) {
        static Timed once(double seconds) {
            return new Timed(1, seconds);
        }

        Timed plus(Timed other) {
            return new Timed(count + other.count, seconds + other.seconds);
        }
    }

    /** One series of a meter: its tags in order of their names, and its value. */
    record Series<V>(TreeMap<String, String> tags, V value) {
        static <V> Series<V> of(V value, String... tags) {
            TreeMap<String, String> byName = new TreeMap<>();
            for (int index = 0; index < tags.length; index += 2) {
                byName.put(tags[index], tags[index + 1]);
            }
            return new Series<>(byName, value);
        }
    }

    /** A meter as Micrometer has it: dotted name, base unit, series. Timers have a count and a total time. */
    record Meter(String name, String unit, String description, boolean timer, List<Series<Timed>> series) {
        static Meter gauge(String name, String unit, String description, List<Series<Double>> values) {
            List<Series<Timed>> series = new ArrayList<>();
            values.forEach(value -> series.add(new Series<>(value.tags, new Timed(0, value.value))));
            return new Meter(name, unit, description, false, series);
        }

        static Meter gauge(String name, String unit, String description, double value) {
            return gauge(name, unit, description, List.of(Series.of(value)));
        }

        void print(StringBuilder text) {
            String snake = name.replace('.', '_');
            String suffix = unit.isEmpty() || snake.endsWith("_" + unit) ? "" : "_" + unit;
            text.append("# HELP ").append(snake).append(suffix).append(' ').append(description).append('\n');
            text.append("# TYPE ").append(snake).append(suffix).append(timer ? " summary\n" : " gauge\n");
            for (Series<Timed> one : series) {
                String labels = one.tags.isEmpty() ? "" : one.tags.entrySet().stream()
                        .map(tag -> tag.getKey() + "=\"" + tag.getValue() + "\"").collect(Collectors.joining(",", "{", "}"));
                if (timer) {
                    text.append(snake).append(suffix).append("_count").append(labels).append(' ').append(one.value.count).append('\n');
                    text.append(snake).append(suffix).append("_sum").append(labels).append(' ').append(one.value.seconds).append('\n');
                } else {
                    text.append(snake).append(suffix).append(labels).append(' ').append(one.value.seconds).append('\n');
                }
            }
        }

        /** As Actuator answers: the sum of the series that have all these tags, or null when there is none. */
        Map<String, Object> summed(Map<String, String> wanted) {
            List<Series<Timed>> matching = new ArrayList<>(series);
            matching.removeIf(one -> !one.tags.entrySet().containsAll(wanted.entrySet()));
            if (matching.isEmpty()) {
                return null;
            }
            Timed sum = matching.stream().map(Series::value).reduce(new Timed(0, 0), Timed::plus);
            Map<String, TreeSet<String>> available = new TreeMap<>();
            matching.forEach(one -> one.tags.forEach((tag, value) -> available.computeIfAbsent(tag, absent -> new TreeSet<>()).add(value)));
            available.keySet().removeAll(wanted.keySet());
            List<Object> tags = new ArrayList<>();
            available.forEach((tag, values) -> tags.add(Json.object("tag", tag, "values", new ArrayList<>(values))));
            List<Object> measurements = timer
                    ? List.of(Json.object("statistic", "COUNT", "value", (double) sum.count), Json.object("statistic", "TOTAL_TIME", "value", sum.seconds))
                    : List.of(Json.object("statistic", "VALUE", "value", sum.seconds));
            return Json.object("name", name, "description", description, "baseUnit", unit.isEmpty() ? null : unit,
                    "measurements", measurements, "availableTags", tags);
        }
    }

    /** The meters that Micrometer binds to a JVM, and those of the requests. */
    static final class Meters {
        private final Map<TreeMap<String, String>, Timed> pauses = new ConcurrentHashMap<>();
        private final Map<TreeMap<String, String>, Timed> requests = new ConcurrentHashMap<>();

        void listenToCollectors() {
            ManagementFactory.getGarbageCollectorMXBeans().forEach(collector -> ((NotificationEmitter) collector).addNotificationListener((notification, handback) -> {
                GarbageCollectionNotificationInfo info = GarbageCollectionNotificationInfo.from((CompositeData) notification.getUserData());
                TreeMap<String, String> tags = Series.of(0, "action", info.getGcAction(), "cause", info.getGcCause(), "gc", info.getGcName()).tags;
                pauses.merge(tags, Timed.once(info.getGcInfo().getDuration() / 1000.0), Timed::plus);
            }, notification -> notification.getType().equals(GarbageCollectionNotificationInfo.GARBAGE_COLLECTION_NOTIFICATION), null));
        }

        void requested(String method, String uri, int status, double seconds) {
            String outcome = status < 400 ? "SUCCESS" : status < 500 ? "CLIENT_ERROR" : "SERVER_ERROR";
            TreeMap<String, String> tags = Series.of(0, "exception", "none", "method", method, "outcome", outcome, "status", "" + status, "uri", uri).tags;
            requests.merge(tags, Timed.once(seconds), Timed::plus);
        }

        List<Meter> read() {
            List<Meter> meters = new ArrayList<>();
            meters.add(timer("http.server.requests", "", requests));
            meters.add(Meter.gauge("jvm.buffer.count", "buffers", "An estimate of the number of buffers in the pool", buffers(BufferPoolMXBean::getCount)));
            meters.add(Meter.gauge("jvm.buffer.memory.used", "bytes", "An estimate of the memory that the Java virtual machine is using for this buffer pool", buffers(BufferPoolMXBean::getMemoryUsed)));
            meters.add(Meter.gauge("jvm.classes.loaded", "classes", "The number of classes that are currently loaded in the Java virtual machine", ManagementFactory.getClassLoadingMXBean().getLoadedClassCount()));
            meters.add(Meter.gauge("jvm.gc.live.data.size", "bytes", "Size of long-lived heap memory pool after reclamation", Memory.liveDataBytes()));
            meters.add(timer("jvm.gc.pause", "Time spent in GC pause", pauses));
            meters.add(Meter.gauge("jvm.memory.committed", "bytes", "The amount of memory in bytes that is committed for the Java virtual machine to use", pools(MemoryUsage::getCommitted)));
            meters.add(Meter.gauge("jvm.memory.max", "bytes", "The maximum amount of memory in bytes that can be used for memory management", pools(MemoryUsage::getMax)));
            meters.add(Meter.gauge("jvm.memory.used", "bytes", "The amount of used memory", pools(MemoryUsage::getUsed)));
            meters.add(Meter.gauge("jvm.threads.live", "threads", "The current number of live threads including both daemon and non-daemon threads", ManagementFactory.getThreadMXBean().getThreadCount()));
            if (ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean system) {
                meters.add(Meter.gauge("process.files.open", "files", "The open file descriptor count", system.getOpenFileDescriptorCount()));
                meters.add(Meter.gauge("process.files.max", "files", "The maximum file descriptor count", system.getMaxFileDescriptorCount()));
            }
            meters.add(Meter.gauge("process.start.time", "seconds", "Start time of the process since unix epoch.", Status.startTime()));
            meters.add(Meter.gauge("process.uptime", "seconds", "The uptime of the Java virtual machine", ManagementFactory.getRuntimeMXBean().getUptime() / 1000.0));
            meters.removeIf(meter -> meter.series.isEmpty());
            return meters;
        }

        private static Meter timer(String name, String description, Map<TreeMap<String, String>, Timed> values) {
            List<Series<Timed>> series = new ArrayList<>();
            values.forEach((tags, value) -> series.add(new Series<>(tags, value)));
            series.sort(Comparator.comparing(one -> one.tags.toString()));
            return new Meter(name, "seconds", description, true, series);
        }

        private static List<Series<Double>> pools(ToLongFunction<MemoryUsage> field) {
            List<Series<Double>> series = new ArrayList<>();
            for (MemoryPoolMXBean pool : Memory.POOLS) {
                String area = pool.getType() == MemoryType.HEAP ? "heap" : "nonheap";
                series.add(Series.of((double) field.applyAsLong(pool.getUsage()), "area", area, "id", pool.getName()));
            }
            return series;
        }

        private static List<Series<Double>> buffers(ToLongFunction<BufferPoolMXBean> field) {
            List<Series<Double>> series = new ArrayList<>();
            for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
                series.add(Series.of((double) field.applyAsLong(pool), "id", pool.getName()));
            }
            return series;
        }
    }

    // ---- the server -------------------------------------------------------------------------------------------------

    record Reply(int status, String type, String body) {
        static Reply json(Object value) {
            return value == null ? notFound() : new Reply(200, "application/json", Json.of(value));
        }

        static Reply notFound() {
            return new Reply(404, "text/plain; charset=utf-8", "not found\n");
        }
    }

    static final class Routes {
        private static final String METRICS = "/actuator/metrics/";
        private final Options options;
        private final Dice dice;
        private final Shop shop;
        private final Status status = new Status();
        private final Meters meters = new Meters();
        private final Consumer<WorkRequest> leak;
        private final Map<String, Function<Map<String, String>, Reply>> byPath = new LinkedHashMap<>();

        Routes(Options options) {
            this.options = options;
            dice = new Dice(options.seed);
            shop = new Shop(dice);
            leak = Leaks.KINDS.get(options.leak);
            meters.listenToCollectors();
            Held held = new Held(dice);
            byPath.put("/work", this::work);
            byPath.put("POST /hold", query -> Reply.json(held.set(query)));
            byPath.put("/status/memory", query -> Reply.json(status.memory()));
            byPath.put("/api/memory_usage", query -> Reply.json(Memory.ofHost()));
            byPath.put("/api/leak_indicators", query -> Reply.json(status.indicators()));
            byPath.put("/metrics", query -> new Reply(200, "text/plain; version=0.0.4; charset=utf-8", exposition()));
            byPath.put("/actuator/health", query -> Reply.json(Json.object("status", "UP")));
            byPath.put("/actuator/metrics", query -> Reply.json(Json.object("names", meters.read().stream().map(Meter::name).toList())));
            byPath.put("/healthz", query -> new Reply(200, "text/plain; charset=utf-8", "ok\n"));
            byPath.put("/", query -> new Reply(200, "text/html; charset=utf-8", status.page()));
        }

        void answer(HttpExchange exchange) throws IOException {
            long began = System.nanoTime();
            String path = exchange.getRequestURI().getPath();
            Reply reply;
            try {
                String route = exchange.getRequestMethod().equals("POST") ? "POST " + path : path;
                reply = reply(route, query(exchange.getRequestURI().getRawQuery()));
            } catch (RuntimeException failure) {
                reply = new Reply(500, "text/plain; charset=utf-8", failure + "\n");
            }
            byte[] body = reply.body.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", reply.type);
            exchange.sendResponseHeaders(reply.status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
            meters.requested(exchange.getRequestMethod(), template(path), reply.status, (System.nanoTime() - began) / 1e9);
        }

        private Reply reply(String path, Map<String, String> query) {
            if (path.startsWith(METRICS)) {
                return actuatorMetric(path.substring(METRICS.length()), query);
            }
            return byPath.getOrDefault(path, absent -> Reply.notFound()).apply(query);
        }

        /** The path as a tag with few values, as Spring has it: otherwise a crawler would fill the meters. */
        private String template(String path) {
            return path.startsWith(METRICS) ? METRICS + "{requiredMetricName}" : byPath.containsKey(path) ? path : "/**";
        }

        private Reply work(Map<String, String> query) {
            String user = query.getOrDefault("user", "");
            user = user.isEmpty() ? "anonymous" : user.substring(0, Math.min(user.length(), USER_LENGTH_MAX));
            Map<String, Object> reply = shop.serve(user);
            WorkRequest request = new WorkRequest(user, status.requestsTotal.incrementAndGet(), options.rateBytes, dice);
            if (!"off".equals(query.get("leak"))) {
                leak.accept(request);
            }
            return Reply.json(reply);
        }

        private String exposition() {
            StringBuilder text = new StringBuilder();
            meters.read().forEach(meter -> meter.print(text));
            return text.toString();
        }

        private Reply actuatorMetric(String name, Map<String, String> query) {
            String[] tag = query.getOrDefault("tag", "").split(":", 2);
            Map<String, String> wanted = tag.length == 2 ? Map.of(tag[0], tag[1]) : Map.of();
            return meters.read().stream().filter(meter -> meter.name.equals(name)).findFirst()
                    .map(meter -> Reply.json(meter.summed(wanted))).orElseGet(Reply::notFound);
        }

        private static Map<String, String> query(String raw) {
            Map<String, String> query = new LinkedHashMap<>();
            for (String pair : raw == null ? new String[0] : raw.split("&")) {
                String[] parts = pair.split("=", 2);
                query.put(parts[0], parts.length == 2 ? URLDecoder.decode(parts[1], StandardCharsets.UTF_8) : "");
            }
            return query;
        }
    }

    /** As much JSON as the answers need. */
    static final class Json {
        private Json() {}

        /** An object from names and values in turn. */
        static Map<String, Object> object(Object... namesAndValues) {
            Map<String, Object> object = new LinkedHashMap<>();
            for (int index = 0; index < namesAndValues.length; index += 2) {
                object.put((String) namesAndValues[index], namesAndValues[index + 1]);
            }
            return object;
        }

        static String of(Object value) {
            StringBuilder text = new StringBuilder(16 * KIB);
            write(text, value);
            return text.toString();
        }

        private static void write(StringBuilder text, Object value) {
            if (value instanceof Map<?, ?> object) {
                String separator = "{";
                for (Map.Entry<?, ?> member : object.entrySet()) {
                    text.append(separator);
                    writeString(text, (String) member.getKey());
                    text.append(':');
                    write(text, member.getValue());
                    separator = ",";
                }
                text.append(object.isEmpty() ? "{}" : "}");
            } else if (value instanceof List<?> list) {
                String separator = "[";
                for (Object item : list) {
                    text.append(separator);
                    write(text, item);
                    separator = ",";
                }
                text.append(list.isEmpty() ? "[]" : "]");
            } else if (value instanceof String string) {
                writeString(text, string);
            } else {
                text.append(value);
            }
        }

        private static void writeString(StringBuilder text, String string) {
            text.append('"');
            for (int index = 0; index < string.length(); index++) {
                char letter = string.charAt(index);
                if (letter == '"' || letter == '\\') {
                    text.append('\\').append(letter);
                } else if (letter < ' ') {
                    text.append(String.format("\\u%04x", (int) letter));
                } else {
                    text.append(letter);
                }
            }
            text.append('"');
        }
    }
}
