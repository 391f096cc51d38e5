package main

import (
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
)

const (
	heldBytesMax       = 1 << 30
	heldBlockBytes     = 4 * kib
	heldBlockBytesMax  = 128 * kib
	heldDescriptorsMax = 4096
	mappedSegmentBytes = 1 << 20
)

// held is memory that `POST /hold` sizes: no leak, since whoever asks for it can have it released.
type held struct {
	mutex       sync.Mutex
	dice        *dice
	blocks      []string
	bytes       int
	descriptors []*os.File
	mapped      mappedFile
}

func (h *held) set(query url.Values) (map[string]int, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	bytes := sizeOf(query, "bytes", h.bytes, heldBytesMax)
	block := max(1, sizeOf(query, "block", heldBlockBytes, heldBlockBytesMax))
	h.release(max(h.bytes-bytes, 0)+sizeOf(query, "renew", 0, heldBytesMax), query.Get("order") == "random")
	for h.bytes+block <= bytes {
		h.blocks = append(h.blocks, h.dice.text(block))
		h.bytes += block
	}
	wanted := sizeOf(query, "descriptors", len(h.descriptors), heldDescriptorsMax)
	for len(h.descriptors) < wanted {
		file, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		h.descriptors = append(h.descriptors, file)
	}
	for _, file := range h.descriptors[wanted:] {
		file.Close()
	}
	h.descriptors = h.descriptors[:wanted]
	if err := h.mapped.resize(sizeOf(query, "mapped", h.mapped.bytes(), heldBytesMax)); err != nil {
		return nil, err
	}
	return map[string]int{"bytes": h.bytes, "blocks": len(h.blocks), "descriptors": wanted, "mapped": h.mapped.bytes()}, nil
}

func sizeOf(query url.Values, name string, fallback, most int) int {
	size, err := strconv.ParseUint(query.Get(name), 10, 32)
	if err != nil {
		return fallback
	}
	return min(int(size), most)
}

func (h *held) release(bytes int, random bool) {
	oldest := 0
	for freed := 0; freed < bytes && oldest < len(h.blocks); {
		index := oldest
		if random {
			last := len(h.blocks) - 1
			index = h.dice.below(len(h.blocks))
			h.blocks[index], h.blocks[last] = h.blocks[last], h.blocks[index]
			index = last
		}
		size := len(h.blocks[index])
		freed += size
		h.bytes -= size
		h.blocks[index] = ""
		if random {
			h.blocks = h.blocks[:index]
		} else {
			oldest++
		}
	}
	n := copy(h.blocks, h.blocks[oldest:])
	clear(h.blocks[n:])
	h.blocks = h.blocks[:n]
}

// mappedFile is a file in the page cache that is mapped as well: resident, but the kernel's to take back. It has no name.
type mappedFile struct {
	file     *os.File
	segments [][]byte
}

func (m *mappedFile) bytes() int {
	return len(m.segments) * mappedSegmentBytes
}

func (m *mappedFile) resize(bytes int) error {
	for m.bytes()+mappedSegmentBytes <= bytes {
		if err := m.grow(); err != nil {
			return err
		}
	}
	for m.bytes() > bytes {
		last := len(m.segments) - 1
		if err := syscall.Munmap(m.segments[last]); err != nil {
			return err
		}
		m.segments = m.segments[:last]
	}
	return nil
}

func (m *mappedFile) grow() (err error) {
	if m.file == nil {
		if m.file, err = os.CreateTemp("", "mapped"); err != nil {
			return err
		}
		os.Remove(m.file.Name())
	}
	filler := make([]byte, mappedSegmentBytes)
	for index := range filler {
		filler[index] = 'z'
	}
	if _, err = m.file.WriteAt(filler, int64(m.bytes())); err != nil {
		return err
	}
	segment, err := syscall.Mmap(int(m.file.Fd()), int64(m.bytes()), mappedSegmentBytes, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	for page := 0; page < len(segment); page += os.Getpagesize() {
		touched += int(segment[page])
	}
	m.segments = append(m.segments, segment)
	return nil
}

// touched keeps the reads of mapped pages from being optimised away.
var touched int
