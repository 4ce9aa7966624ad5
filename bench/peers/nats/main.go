// The load of the benchmarks on NATS JetStream, by its official client: one work a run, one JSON object on standard output.
//
//	loader publish  -url nats://… -n 1000000 -size 200 -publishers 4    as PublishAsync does it, 4,000 of a publisher unanswered
//	loader sync     -url nats://… -n 100000  -size 200 -publishers 32   each waits for the answer before the next
//	loader consume  -url nats://… -n 1000000                            the ordered consumer, a callback a record
//	loader fetch    -url nats://… -n 1000000 -batch 1000                a pull consumer without acknowledgements, batch by batch
//	loader latency  -url nats://… -rate 20000 -seconds 10               from when a record was due to its callback
//
// publish, sync and latency make the stream anew; consume and fetch read what publish left.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName = "LOAD"
	subject    = "load"
	// What the client allows by default.
	pendingMax = 4000
	// A server that says nothing for so long is gone.
	silenceMax = 30 * time.Second
)

type options struct {
	url        string
	records    int
	size       int
	publishers int
	batch      int
	rate       int
	seconds    int
}

var works = map[string]func(options) (any, error){
	"publish": func(o options) (any, error) { return publish(o, publishAsync) },
	"sync":    func(o options) (any, error) { return publish(o, publishSync) },
	"consume": consume,
	"fetch":   fetch,
	"latency": latency,
}

func main() {
	if len(os.Args) < 2 || works[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: loader publish|sync|consume|fetch|latency -url URL [-n …] [-size …]")
		os.Exit(2)
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.url, "url", nats.DefaultURL, "of the server")
	flags.IntVar(&o.records, "n", 1_000_000, "records")
	flags.IntVar(&o.size, "size", 200, "bytes of a record")
	flags.IntVar(&o.publishers, "publishers", 4, "connections")
	flags.IntVar(&o.batch, "batch", 1000, "records of a fetch")
	flags.IntVar(&o.rate, "rate", 20_000, "records a second")
	flags.IntVar(&o.seconds, "seconds", 10, "of load")
	_ = flags.Parse(os.Args[2:])
	result, err := works[os.Args[1]](o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(result)
}

type rate struct {
	PerSecond float64 `json:"per_s"`
}

func rateOf(records int, started time.Time) rate {
	return rate{float64(records) / time.Since(started).Seconds()}
}

// open connects, with as many publishes in flight as the client allows by default.
func open(url string, failed func(error)) (*nats.Conn, jetstream.JetStream, error) {
	connection, err := nats.Connect(url)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(connection,
		jetstream.WithPublishAsyncMaxPending(pendingMax),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed(err) }))
	return connection, js, err
}

func freshStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	if err := js.DeleteStream(ctx, streamName); err != nil && err != jetstream.ErrStreamNotFound {
		return nil, err
	}
	return js.CreateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subject}, Storage: jetstream.FileStorage,
	})
}

// publish shares the records out among publishers, each on a connection of its own, and then counts what is in the stream.
func publish(o options, one func(context.Context, jetstream.JetStream, []byte, int) error) (any, error) {
	ctx := context.Background()
	errs := make(chan error, o.publishers+1)
	failed := func(err error) {
		select {
		case errs <- err:
		default:
		}
	}
	var all []jetstream.JetStream
	for range o.publishers {
		connection, js, err := open(o.url, failed)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		all = append(all, js)
	}
	stream, err := freshStream(ctx, all[0])
	if err != nil {
		return nil, err
	}
	data := make([]byte, o.size)
	for at := range data {
		data[at] = 'x'
	}
	each := o.records / o.publishers
	started := time.Now()
	var group sync.WaitGroup
	for _, js := range all {
		group.Go(func() {
			if err := one(ctx, js, data, each); err != nil {
				failed(err)
			}
		})
	}
	group.Wait()
	result := rateOf(each*o.publishers, started)
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.State.Msgs != uint64(each*o.publishers) {
		return nil, fmt.Errorf("%d records are in the stream, of %d", info.State.Msgs, each*o.publishers)
	}
	return result, nil
}

func publishAsync(_ context.Context, js jetstream.JetStream, data []byte, records int) error {
	for range records {
		if _, err := js.PublishAsync(subject, data, jetstream.WithStallWait(silenceMax)); err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-time.After(silenceMax):
		return fmt.Errorf("%d publishes have no answer", js.PublishAsyncPending())
	}
}

func publishSync(ctx context.Context, js jetstream.JetStream, data []byte, records int) error {
	for range records {
		if _, err := js.Publish(ctx, subject, data); err != nil {
			return err
		}
	}
	return nil
}

func consume(o options) (any, error) {
	ctx := context.Background()
	connection, js, err := open(o.url, func(error) {})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	consumer, err := js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	seen := 0
	started := time.Now()
	running, err := consumer.Consume(func(jetstream.Msg) {
		if seen++; seen == o.records {
			close(done)
		}
	}, jetstream.PullMaxMessages(10_000))
	if err != nil {
		return nil, err
	}
	defer running.Stop()
	select {
	case <-done:
		return rateOf(o.records, started), nil
	case <-time.After(4 * silenceMax):
		return nil, fmt.Errorf("%d records came of %d", seen, o.records)
	}
}

func fetch(o options) (any, error) {
	ctx := context.Background()
	connection, js, err := open(o.url, func(error) {})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	consumer, err := js.CreateConsumer(ctx, streamName, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		return nil, err
	}
	started := time.Now()
	for seen := 0; seen < o.records; {
		batch, err := consumer.Fetch(min(o.batch, o.records-seen), jetstream.FetchMaxWait(silenceMax))
		if err != nil {
			return nil, err
		}
		before := seen
		for range batch.Messages() {
			seen++
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
		if seen == before {
			return nil, fmt.Errorf("%d records came of %d", seen, o.records)
		}
	}
	return rateOf(o.records, started), nil
}

type latencies struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
	// Records that came after the load's first second, which is warm-up.
	Records int `json:"records"`
}

// latency publishes a record each 1/rate of a second and takes the time from when it was due, whether it went then or later: a
// server that stands still is charged for all that it kept waiting. What falls due between two looks at the clock, a millisecond
// apart, goes together.
func latency(o options) (any, error) {
	ctx := context.Background()
	errs := make(chan error, 1)
	failed := func(err error) {
		select {
		case errs <- err:
		default:
		}
	}
	publisher, js, err := open(o.url, failed)
	if err != nil {
		return nil, err
	}
	defer publisher.Close()
	if _, err := freshStream(ctx, js); err != nil {
		return nil, err
	}
	reader, readerJs, err := open(o.url, failed)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	consumer, err := readerJs.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	count := o.rate * o.seconds
	taken := make([]time.Duration, 0, count)
	done := make(chan struct{})
	interval := time.Second / time.Duration(o.rate)
	var started time.Time
	seen := 0
	begin := make(chan struct{})
	running, err := consumer.Consume(func(message jetstream.Msg) {
		<-begin
		due := started.Add(time.Duration(binary.LittleEndian.Uint64(message.Data())) * interval)
		taken = append(taken, time.Since(due))
		if seen++; seen == count {
			close(done)
		}
	}, jetstream.PullMaxMessages(10_000))
	if err != nil {
		return nil, err
	}
	defer running.Stop()
	// Until the first request of the reader is with the server.
	time.Sleep(300 * time.Millisecond)
	started = time.Now()
	close(begin)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for sent := 0; sent < count; <-ticker.C {
		for due := min(count, int(time.Since(started)/interval)); sent < due; sent++ {
			data := make([]byte, o.size)
			binary.LittleEndian.PutUint64(data, uint64(sent))
			if _, err := js.PublishAsync(subject, data, jetstream.WithStallWait(silenceMax)); err != nil {
				return nil, err
			}
		}
	}
	select {
	case <-done:
	case err := <-errs:
		return nil, err
	case <-time.After(silenceMax):
		return nil, fmt.Errorf("%d records came of %d", seen, count)
	}
	// They come in order.
	warm := taken[min(o.rate, count/2):]
	slices.Sort(warm)
	of := func(share float64) float64 {
		return float64(warm[min(len(warm)-1, int(share*float64(len(warm))))].Nanoseconds()) / 1e6
	}
	return latencies{of(0.5), of(0.99), of(0.999), of(1), len(warm)}, nil
}
