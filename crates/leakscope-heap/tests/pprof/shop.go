// Writes profiles of its own heap and goroutines: recursion, inlined functions, several lines of one function.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

type entry struct {
	key   string
	value []byte
	next  *entry
}

var (
	cache = map[string]*entry{}
	kept  [][]byte
)

func main() {
	runtime.MemProfileRate = 4096
	folder := os.Args[1]
	block := make(chan struct{})
	for round := 0; round < 2; round++ {
		for i := 0; i < 3000; i++ {
			put(fmt.Sprintf("session-%d-%d", round, i), 100+i%700)
			if i%3 == 0 {
				kept = append(kept, walk(i%9, 64))
			}
			churn(i)
		}
		for i := 0; i < 40*(round+1); i++ {
			go wait(i%4, block)
		}
		for runtime.NumGoroutine() < 40*(round+1)*(round+2)/2 {
			time.Sleep(time.Millisecond)
		}
		runtime.GC()
		for _, kind := range []string{"heap", "allocs", "goroutine"} {
			write(filepath.Join(folder, fmt.Sprintf("%s-%d.pb.gz", kind, round)), kind)
		}
	}
	close(block)
}

// put is called from one place and small: its maker is inlined into it.
func put(key string, size int) {
	e := make1(key, size)
	e.next = cache[key[:9]]
	cache[key] = e
}

func make1(key string, size int) *entry { return &entry{key: strings.Clone(key), value: make2(size)} }
func make2(size int) []byte             { return make([]byte, size) }

//go:noinline
func walk(depth, size int) []byte {
	if depth == 0 {
		return make([]byte, size*4)
	}
	if depth == 4 {
		kept = append(kept, make([]byte, size))
	}
	return walk(depth-1, size+8)
}

func churn(i int) {
	var parts []string
	for n := 0; n < i%5; n++ {
		parts = append(parts, strings.Repeat("x", 200))
	}
	_ = strings.Join(parts, ",")
}

func wait(depth int, block chan struct{}) {
	if depth > 0 {
		wait(depth-1, block)
		return
	}
	<-block
}

func write(name, kind string) {
	file, err := os.Create(name)
	if err == nil {
		err = pprof.Lookup(kind).WriteTo(file, 0)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		panic(err)
	}
}
