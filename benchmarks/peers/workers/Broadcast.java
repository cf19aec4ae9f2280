import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams, one processor: reads recipients and broadcasts (a record a slice of members of the
 * partition), writes receipts. Remembers recipients, who got which broadcast and the day's counts in
 * RocksDB, with changelogs. At least once.
 */
public final class Broadcast {
  private static final String RECIPIENTS = "recipients", BROADCASTS = "broadcasts", SENT = "sent";
  private static final ObjectMapper JSON =
      new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

  record Recipient(
      String userId, String email, String locale, String timezone, boolean isEmailWanted,
      Map<String, Boolean> types, int quietFrom, int quietUntil, int dailyLimit) {}

  record Slice(String broadcast, List<String> userIds) {}

  record Receipt(String broadcast, String userId, String status, String reason, long atMs) {}

  record Wanted(Recipient recipient, String countKey, int count) {}

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(System.getenv("PEER_FOLDER"));
    KafkaStreams streams = new KafkaStreams(topology(), properties(folder));
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) isReady(folder);
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static Topology topology() {
    return new Topology()
        .addSource("read recipients", RECIPIENTS)
        .addSource("read broadcasts", BROADCASTS)
        .addProcessor("send", Send::new, "read recipients", "read broadcasts")
        .addStateStore(store(RECIPIENTS), "send")
        .addStateStore(store(SENT), "send")
        .addSink("tell", "receipts", "send");
  }

  private static StoreBuilder<KeyValueStore<String, byte[]>> store(String name) {
    return Stores.keyValueStoreBuilder(
        Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.ByteArray());
  }

  private static Properties properties(Path folder) {
    Properties set = new Properties();
    set.put(StreamsConfig.APPLICATION_ID_CONFIG, "sender");
    set.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("PEER_BROKER"));
    set.put(StreamsConfig.STATE_DIR_CONFIG, folder.resolve("state").toString());
    set.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
    set.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    set.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    // A processor waits for the provider: while one thread does, others work.
    set.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 4);
    // By default 30 s: what a restart reads again, and finds done by its own rows.
    set.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    // Static members: a restart waits for no session to expire.
    set.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "sender-0");
    set.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "zstd");
    set.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
    return set;
  }

  private static void isReady(Path folder) {
    try {
      Files.writeString(folder.resolve("ready"), "");
    } catch (IOException error) {
      throw new IllegalStateException(error);
    }
  }

  static final class Send implements Processor<String, byte[], String, byte[]> {
    private final ObjectReader slices = JSON.readerFor(Slice.class);
    private final ObjectReader recipients = JSON.readerFor(Recipient.class);
    private final HttpClient http =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final URI url = URI.create(System.getenv("PEER_PROVIDER") + "/v3/mail/send");
    private final String authorization = "Bearer " + System.getenv("PEER_API_KEY");
    private final Map<String, ZonedDateTime> locals = new HashMap<>();
    private long localsMinute;
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> known, sent;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      known = context.getStateStore(RECIPIENTS);
      sent = context.getStateStore(SENT);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      if (context.recordMetadata().orElseThrow().topic().equals(RECIPIENTS)) {
        known.put(record.key(), record.value());
        return;
      }
      try {
        send(slices.readValue(record.value()));
      } catch (IOException | InterruptedException error) {
        throw new IllegalStateException(error); // ends the thread; what was not committed comes again
      }
    }

    private void send(Slice slice) throws IOException, InterruptedException {
      Map<String, List<Wanted>> byLanguage = new HashMap<>();
      for (String userId : slice.userIds()) {
        Recipient recipient = recipients.readValue(known.get(userId));
        if (sent.get(doneKey(slice.broadcast(), userId)) != null) {
          tell(slice.broadcast(), userId, ""); // before a crash, which may have lost its receipt
          continue;
        }
        ZonedDateTime now = local(recipient.timezone());
        String countKey = "count/" + now.toLocalDate().toEpochDay() + "/" + userId;
        byte[] counted = sent.get(countKey);
        int count = counted == null ? 0 : Integer.parseInt(new String(counted));
        String refusal = refusal(recipient, now, count);
        if (refusal.isEmpty()) {
          byLanguage
              .computeIfAbsent(recipient.locale().equals("de") ? "de" : "en", k -> new ArrayList<>())
              .add(new Wanted(recipient, countKey, count));
        } else {
          tell(slice.broadcast(), userId, refusal);
        }
      }
      for (Map.Entry<String, List<Wanted>> group : byLanguage.entrySet()) {
        post(Mail.body(slice.broadcast(), group.getKey(), group.getValue()));
        for (Wanted each : group.getValue()) {
          String userId = each.recipient().userId();
          sent.put(each.countKey(), Integer.toString(each.count() + 1).getBytes());
          sent.put(doneKey(slice.broadcast(), userId), new byte[0]);
          tell(slice.broadcast(), userId, "");
        }
      }
    }

    private static String doneKey(String broadcast, String userId) {
      return "done/" + broadcast + "/" + userId;
    }

    /** Why it is not sent; empty when it is. */
    private static String refusal(Recipient recipient, ZonedDateTime now, int sentToday) {
      if (!recipient.isEmailWanted() || !recipient.types().getOrDefault("promotion", true)) {
        return "opted_out";
      }
      int minute = now.getHour() * 60 + now.getMinute();
      int begins = recipient.quietFrom(), ends = recipient.quietUntil();
      boolean isInside =
          begins > ends ? minute >= begins || minute < ends : begins <= minute && minute < ends;
      if (isInside) return "quiet_hours";
      return sentToday >= recipient.dailyLimit() ? "daily_limit" : "";
    }

    /** Worked out once a minute for each zone. */
    private ZonedDateTime local(String timezone) {
      Instant now = Instant.now();
      if (now.getEpochSecond() / 60 != localsMinute) {
        localsMinute = now.getEpochSecond() / 60;
        locals.clear();
      }
      return locals.computeIfAbsent(timezone, zone -> now.atZone(ZoneId.of(zone)));
    }

    private void post(String body) throws IOException, InterruptedException {
      HttpRequest request =
          HttpRequest.newBuilder(url)
              .header("Authorization", authorization)
              .header("Content-Type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString(body))
              .build();
      int status = http.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
      if (status != 202) throw new IOException("the provider said " + status);
    }

    private void tell(String broadcast, String userId, String reason) throws IOException {
      long now = System.currentTimeMillis();
      String status = reason.isEmpty() ? "sent" : "suppressed";
      byte[] value =
          JSON.writeValueAsBytes(new Receipt(broadcast, userId, status, reason, now));
      context.forward(new Record<>(userId, value, now));
    }
  }

  /** The body of one request to SendGrid, for up to a thousand. Nothing else in it needs escaping. */
  static final class Mail {
    private static final String OFFER = "20 percent off everything", LINK = "https://example.com/sale";

    static String body(String broadcast, String language, List<Wanted> recipients) {
      String words = language.equals("de") ? "Zum Angebot" : "See the offer";
      StringBuilder body = new StringBuilder(recipients.size() * 150);
      body.append("{\"from\":{\"email\":\"hello@example.com\"},\"subject\":\"Sale\",\"content\":[");
      body.append("{\"type\":\"text/plain\",\"value\":\"").append(OFFER).append("\\n\\n");
      body.append(LINK).append("\"},{\"type\":\"text/html\",\"value\":\"<p>").append(OFFER);
      body.append("</p><p><a href=\\\"").append(LINK).append("\\\">").append(words);
      body.append("</a></p>\"}],\"personalizations\":[");
      String separator = "";
      for (Wanted each : recipients) {
        Recipient recipient = each.recipient();
        body.append(separator).append("{\"to\":[{\"email\":\"").append(recipient.email());
        body.append("\"}],\"custom_args\":{\"delivery_id\":\"").append(broadcast).append(':');
        body.append(recipient.userId()).append("\",\"notification_id\":\"").append(broadcast);
        body.append("\"}}");
        separator = ",";
      }
      return body.append("]}").toString();
    }
  }
}
