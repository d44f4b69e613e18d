// Package intake takes usage events in over HTTP and makes usage files of them.
//
// One post goes this way. [Intake.Events] or [Intake.Flussonic] unpacks the body, decodes it, names the
// events that no report could count and drops these, fills in what the sender left to us (tenant, event
// id), and hands the rest to the [Log] as NDJSON, compressed. The log is a NATS JetStream stream: in this
// process, with every write synced, or an operator's own cluster, by the same code. [Log.Append] returns when the
// events are durable, and only then is the post answered.
//
// From the log they go into usage files, by age and by size: [Log.Flush] reads messages from the first on, writes them
// as one Parquet file, and decides on its name. The decision (first and last message, name) is a message of a second
// stream, published before the file is put; and messages are purged only when the file stands.
// Whatever is interrupted, the next flush finds the decision and puts the same file under the same name, whose
// digest is that of the messages. Several processes on one cluster may flush at the same time: the
// decision is published on the condition that no other was meanwhile.
//
// Nothing hangs on that alone: every event bears a number of its node or an id, so that what should come twice after all
// counts once (SPEC 2.1).
//
// What bounds it: the bytes of the log, the disk's free space, the memory of posts under way. Where one is
// reached, posts are refused with [ErrBusy], [ErrFull] or [ErrDisk], and senders send again.
//
// Package elements takes bodies apart so that a broken element takes nothing from the others; package flussonic decodes the session records of Flussonic Media Server, package logs turns access
// logs into usage events; [Sources] imports logs that a CDN drops into a bucket, each once.
package intake
