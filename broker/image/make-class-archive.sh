#!/bin/sh
# Makes /opt/kafka/kafka.jsa, the class data archive with which the JVM of a node starts in about
# half the time. Runs once, inside the image while it is built: it starts a throw-away node on
# loopback as Ottla starts its nodes (both roles, mutual TLS inside, a plain client listener), uses
# it a little, and stops it; the JVM then writes down the classes that it had loaded.
set -eu
export LC_ALL=C
work=$(mktemp -d)
home=/opt/kafka
class_path=$(printf '%s:' $home/libs/*.jar)
class_path=${class_path%:}
logging=-Dlog4j2.configurationFile=$home/config/log4j2.yaml
broker=127.0.0.1:19092

/opt/java/bin/keytool -genkeypair -alias node -dname CN=node -ext san=ip:127.0.0.1 \
    -keyalg EC -groupname secp256r1 -validity 2 \
    -storetype PKCS12 -storepass throw-away -keystore "$work/node.p12" 2>"$work/keytool.log"

cat >"$work/server.properties" <<END
process.roles=broker,controller
node.id=1
log.dirs=$work/log
controller.quorum.bootstrap.servers=127.0.0.1:19090
listeners=CONTROLLER://127.0.0.1:19090,REPLICATION://127.0.0.1:19091,PLAIN://$broker
controller.listener.names=CONTROLLER
inter.broker.listener.name=REPLICATION
listener.security.protocol.map=CONTROLLER:SSL,REPLICATION:SSL,PLAIN:PLAINTEXT
ssl.keystore.type=PKCS12
ssl.keystore.location=$work/node.p12
ssl.keystore.password=throw-away
ssl.truststore.type=PKCS12
ssl.truststore.location=$work/node.p12
ssl.truststore.password=throw-away
ssl.client.auth=required
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
END

cluster=$(/opt/java/bin/java -cp "$class_path" "$logging" kafka.tools.StorageTool random-uuid)
/opt/java/bin/java -cp "$class_path" "$logging" kafka.tools.StorageTool \
    format --standalone -t "$cluster" -c "$work/server.properties" >"$work/node.log"

/opt/java/bin/java -Xmx512m -XX:+UseG1GC -XX:ArchiveClassesAtExit=$home/kafka.jsa \
    -cp "$class_path" "$logging" kafka.Kafka "$work/server.properties" >>"$work/node.log" 2>&1 &
node=$!

seconds=0
until grep -q 'Kafka Server started' "$work/node.log"; do
    seconds=$((seconds + 1))
    if ! kill -0 $node || [ $seconds -gt 120 ]; then
        cat "$work/node.log" >&2
        exit 1
    fi
    sleep 1
done

$home/bin/kafka-topics.sh --bootstrap-server $broker --create --topic warm-up >"$work/tools.log"
echo record | $home/bin/kafka-console-producer.sh --bootstrap-server $broker --topic warm-up
$home/bin/kafka-console-consumer.sh --bootstrap-server $broker --topic warm-up \
    --from-beginning --max-messages 1 >>"$work/tools.log" 2>&1

kill $node
wait $node || test $? -eq 143
test -s $home/kafka.jsa
chmod 0644 $home/kafka.jsa
rm -rf "$work"
