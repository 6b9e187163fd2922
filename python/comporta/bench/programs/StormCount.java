import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.LocalCluster;
import org.apache.storm.kafka.spout.FirstPollOffsetStrategy;
import org.apache.storm.kafka.spout.KafkaSpout;
import org.apache.storm.kafka.spout.KafkaSpoutConfig;
import org.apache.storm.task.ShellBolt;
import org.apache.storm.topology.IRichBolt;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Values;

/** The job as a topology in one JVM: a spout from Kafka, and bolts in Python that count. */
public final class StormCount {
    private static final int POLL = 50; // milliseconds between two looks for results

    public static void main(String[] words) throws Exception {
        Task task = new Task(words);
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("lines", new KafkaSpout<>(spout(task)), 1);
        builder.setBolt("count", new Bolt(words[8], words[9], words[10]), task.threads).shuffleGrouping("lines");
        try (LocalCluster cluster = new LocalCluster();
                LocalCluster.LocalTopology topology = cluster.submitTopology("bench", config(task), builder.createTopology())) {
            while (results(task.folder) < task.threads) {
                Thread.sleep(POLL);
            }
        }
        System.exit(0);
    }

    private static KafkaSpoutConfig<String, String> spout(Task task) {
        return KafkaSpoutConfig.builder(task.kafka, task.topic)
            .setProp("group.id", task.group)
            .setProp("fetch.min.bytes", "100000")
            .setProp("max.poll.records", "2000")
            .setFirstPollOffsetStrategy(FirstPollOffsetStrategy.EARLIEST)
            .setProcessingGuarantee(KafkaSpoutConfig.ProcessingGuarantee.NO_GUARANTEE)
            .setRecordTranslator(record -> new Values(record.value()), new Fields("line"))
            .build();
    }

    private static Config config(Task task) {
        Config config = new Config();
        config.setNumWorkers(1);
        config.setNumAckers(0);
        config.put(Config.TOPOLOGY_STATS_SAMPLE_RATE, 0.001);
        return config;
    }

    private static int results(Path folder) throws Exception {
        int count = 0;
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "result-*.json")) {
            for (Path ignored : files) {
                count += 1;
            }
        }
        return count;
    }

    /** The bolt in Python. */
    private static final class Bolt extends ShellBolt implements IRichBolt {
        Bolt(String... command) {
            super(command);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) { }

        @Override
        public Map<String, Object> getComponentConfiguration() {
            return null;
        }
    }
}
