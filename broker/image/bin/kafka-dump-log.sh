#!/bin/sh
# The class moved into the tools' own package with 4.3.
case $(cat /opt/kafka/VERSION) in
4.2.*) class=kafka.tools.DumpLogSegments ;;
*) class=org.apache.kafka.tools.DumpLogSegments ;;
esac
exec "${0%/*}/kafka-run-class.sh" "$class" "$@"
