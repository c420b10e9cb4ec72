#!/bin/sh
# Runs a main class of Kafka's tools with what all of them need. KAFKA_HEAP_OPTS and KAFKA_OPTS
# mean what they mean in Kafka's own scripts.
home=/opt/kafka

# StorageTool must be of the very release that will read the disk; the other tools may be of an
# earlier release, in a folder of their own.
libs=$home/libs
if [ -d $home/tools-libs ] && [ "$1" != kafka.tools.StorageTool ]; then
    libs=$home/tools-libs
fi

# One by one and in order, because a class data archive fits only the very class path that it was
# made with.
class_path=$(LC_ALL=C && printf '%s:' "$libs"/*.jar)

# Tools live for seconds: what starts fastest serves them best.
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:--Xmx256m} \
    -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -XX:SharedArchiveFile=$home/kafka.jsa -Xshare:auto -Xlog:disable -Xlog:all=error:stderr \
    -Djava.awt.headless=true -Dlog4j2.configurationFile=$home/config/tools-log4j2.yaml \
    $KAFKA_OPTS -cp "${class_path%:}" "$@"
