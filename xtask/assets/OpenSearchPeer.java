import org.codelibs.opensearch.runner.OpenSearchRunner;

/** OpenSearchPeer FOLDER HTTP_PORT TRANSPORT_PORT: one OpenSearch node on loopback until SIGTERM. */
public class OpenSearchPeer {
    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        // The runner refuses ports above 9299 without a word unless told otherwise.
        runner.setMaxHttpPort(65535);
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", args[1]);
            settings.put("transport.port", args[2]);
            settings.put("path.repo", args[0] + "/repo");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(args[0]).numOfNode(1).clusterName("c8keep-peer").useLogger());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        Thread.currentThread().join();
    }
}
