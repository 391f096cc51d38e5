// A JVM that keeps its orders, for the tests of its evidence. It serves a dump as Spring Boot Actuator does: made by the JVM's own bean
// and streamed. It ends with its standard input, so that a test that dies leaves no orphan.

import com.sun.management.HotSpotDiagnosticMXBean;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;

public final class Shop {
    static final List<Order> ORDERS = new ArrayList<>();

    static final class Order {
        final byte[] lines = new byte[1000];
    }

    static void keep(int orders) {
        for (int i = 0; i < orders; i++) {
            ORDERS.add(new Order());
        }
    }

    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.createContext("/keep/", exchange -> {
            keep(Integer.parseInt(exchange.getRequestURI().getPath().substring("/keep/".length())));
            answer(exchange, 200, "kept");
        });
        server.createContext("/actuator", exchange -> actuator(exchange, "heapdump"));
        server.createContext("/hidden", exchange -> actuator(exchange, "health"));
        server.createContext("/guarded", exchange -> answer(exchange, 401, ""));
        server.createContext("/login", exchange -> answer(exchange, 200, "<html>"));
        server.start();
        System.out.println(server.getAddress().getPort());
        while (System.in.read() >= 0) {
            // Nothing is said to it.
        }
        System.exit(0);
    }

    static void actuator(HttpExchange exchange, String endpoint) throws IOException {
        if (!exchange.getRequestURI().getPath().endsWith("/heapdump")) {
            answer(exchange, 200, "{\"_links\":{\"self\":{\"href\":\"\"},\"" + endpoint + "\":{\"href\":\"\"}}}");
            return;
        }
        Path folder = Files.createTempDirectory("shop");
        Path file = folder.resolve("dump.hprof");
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class).dumpHeap(file.toString(), true);
        exchange.sendResponseHeaders(200, Files.size(file));
        try (var body = exchange.getResponseBody()) {
            Files.copy(file, body);
        } finally {
            Files.delete(file);
            Files.delete(folder);
        }
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        try (var body = exchange.getResponseBody()) {
            body.write(bytes);
        }
    }
}
