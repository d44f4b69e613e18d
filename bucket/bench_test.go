package bucket

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
)

func BenchmarkPut(b *testing.B) {
	bucket := newBucket(b, embedded(b))
	for _, n := range []int{4 << 10, 1 << 20, 64 << 20} {
		data := noise(1, n)
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			i := 0
			for b.Loop() {
				i++
				mustPut(b, bucket, fmt.Sprintf("put/%d/%d", n, i%100), data)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "put/s")
		})
	}
	b.Run("bytes=4096/parallel", func(b *testing.B) {
		data := noise(1, 4<<10)
		var i atomic.Int64
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				mustPut(b, bucket, fmt.Sprintf("parallel/%d/%d", i.Load()%10, i.Add(1)), data)
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "put/s")
	})
}

func BenchmarkGet(b *testing.B) {
	bucket := newBucket(b, embedded(b))
	for _, n := range []int{4 << 10, 1 << 20, 64 << 20} {
		mustPut(b, bucket, "k", noise(1, n))
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				mustGet(b, bucket, "k")
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	bucket := newBucket(b, embedded(b))
	for _, n := range []int{4 << 10, PartSize, 64 << 20} {
		data := noise(1, n)
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				w, err := bucket.Writer(b.Context(), "w")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	bucket := newBucket(b, embedded(b))
	fill(b, bucket, 10_000, 100)
	b.ResetTimer()
	n := 0
	for b.Loop() {
		n += len(keysOf(b, bucket, "", ""))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "keys/s")
}
