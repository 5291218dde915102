// The job in Kafka Streams with its defaults: one thread, RocksDB under its cache, a changelog.
// Arguments: KAFKA GROUP OUT FOLDER GUARANTEE COMMIT_MS
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public class Counting {
  static class Count implements Processor<String, byte[], String, byte[]> {
    private final ObjectMapper json = new ObjectMapper();
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Long> counts;

    public void init(ProcessorContext<String, byte[]> given) {
      context = given;
      counts = given.getStateStore("counts");
    }

    public void process(Record<String, byte[]> record) {
      try {
        ObjectNode post = (ObjectNode) json.readTree(record.value());
        String author = post.get("author").textValue();
        Long old = counts.get(author);
        long count = (old == null ? 0 : old) + 1;
        counts.put(author, count);
        post.put("count", count);
        context.forward(record.withValue(json.writeValueAsBytes(post)));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  public static void main(String[] given) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", given[0]);
    settings.put("application.id", given[1]);
    settings.put("state.dir", given[3]);
    settings.put("processing.guarantee", given[4]);
    settings.put("commit.interval.ms", given[5]);
    settings.put("auto.offset.reset", "earliest");
    Topology job = new Topology();
    job.addSource("in", new StringDeserializer(), new ByteArrayDeserializer(), "raw");
    job.addProcessor("count", Count::new, "in");
    job.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("counts"), Serdes.String(), Serdes.Long())
            .withLoggingEnabled(Map.of())
            .withCachingEnabled(),
        "count");
    job.addSink("out", given[2], new StringSerializer(), new ByteArraySerializer(), "count");
    KafkaStreams streams = new KafkaStreams(job, settings);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
    streams.start();
  }
}
