// Writes a profile of every kind of the Go runtime into the folder it runs in: in protobuf (.0) and as text (.1).
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

type session struct{ data []byte }

var (
	sessions []*session
	mutex    sync.Mutex
)

//go:noinline
func leak(n int) {
	for i := range n {
		sessions = append(sessions, newSession(1024*(1+i%7)))
	}
}

func newSession(n int) *session { return &session{data: make([]byte, n)} }

//go:noinline
func deep(n int) []byte {
	if n == 0 {
		return make([]byte, 100_000)
	}
	return deep(n - 1)
}

func wait(never chan int) { <-never }

func hold() {
	mutex.Lock()
	time.Sleep(10 * time.Microsecond)
	mutex.Unlock()
}

func main() {
	runtime.MemProfileRate = 4096
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	leak(3000)
	var buffers [][]byte
	for i := range 12 {
		buffers = append(buffers, deep(i))
	}
	never := make(chan int)
	for range 20 {
		go wait(never)
	}
	labels := pprof.Labels("tenant", "blue \"x\"", "plan", "free")
	pprof.Do(context.Background(), labels, func(context.Context) { go wait(never) })
	var holders sync.WaitGroup
	for range 4 {
		holders.Go(func() {
			for range 50 {
				hold()
			}
		})
	}
	holders.Wait()
	runtime.GC()
	runtime.GC()
	for _, kind := range []string{"heap", "allocs", "goroutine", "mutex", "block", "threadcreate"} {
		for debug := range 2 {
			file, err := os.Create(fmt.Sprintf("%s.%d", kind, debug))
			if err != nil {
				panic(err)
			}
			pprof.Lookup(kind).WriteTo(file, debug)
			file.Close()
		}
	}
	runtime.KeepAlive(buffers)
}
