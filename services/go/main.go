// Command go is a small shopping-cart service on net/http, healthy or leaking in one chosen way.
// It must stay free of dependencies and must not grow in any way that -leak did not ask for.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

const (
	kib              = 1024
	defaultRateBytes = 64 * kib
	rateBytesMax     = 1 << 30
)

type options struct {
	port          uint64
	leak          string
	rateBytes     uint64
	seed          uint64
	exitWithStdin bool
}

func main() {
	options, err := parseArguments(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage())
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := serve(options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var flagHelp = [][2]string{
	{"--port", "N                    port on 127.0.0.1; 0 takes a free one (default 0)"},
	{"--leak", "KIND                 which leak to have (default none)"},
	{"--rate", "BYTES_PER_REQUEST    bytes each work request leaks (default 65536)"},
	{"--seed", "N                    seed of the generated carts (default 1)"},
	{"--exit-with-stdin", "          exit when standard input ends"},
	{"--help", "                     print this text"},
}

func usage() string {
	var text strings.Builder
	text.WriteString("usage: service [flags]\n")
	for _, row := range flagHelp {
		fmt.Fprintf(&text, "  %s %s\n", row[0], row[1])
	}
	fmt.Fprintf(&text, "leak kinds: %s\n", strings.Join(leakKinds(), ", "))
	return text.String()
}

func parseArguments(arguments []string) (options, error) {
	parsed := options{leak: "none", rateBytes: defaultRateBytes, seed: 1}
	for len(arguments) > 0 {
		name, value, inline := strings.Cut(arguments[0], "=")
		arguments = arguments[1:]
		switch name {
		case "--exit-with-stdin":
			parsed.exitWithStdin = true
			continue
		case "--help":
			return parsed, flag.ErrHelp
		case "--port", "--leak", "--rate", "--seed":
		default:
			return parsed, fmt.Errorf("unknown flag `%s` (valid flags: %s)", name, strings.Join(flagNames(), ", "))
		}
		if !inline && len(arguments) > 0 {
			value, arguments = arguments[0], arguments[1:]
		}
		if err := parsed.set(name, value); err != nil {
			return parsed, err
		}
	}
	return parsed, nil
}

func flagNames() []string {
	names := []string{}
	for _, row := range flagHelp {
		names = append(names, row[0])
	}
	return names
}

func (o *options) set(name, value string) (err error) {
	switch name {
	case "--port":
		o.port, err = wholeNumber(name, value, 65535)
	case "--rate":
		o.rateBytes, err = wholeNumber(name, value, rateBytesMax)
	case "--seed":
		o.seed, err = wholeNumber(name, value, 1<<32-1)
	case "--leak":
		if _, known := leaks[value]; !known {
			return fmt.Errorf("`--leak` wants a leak kind, found `%s` (valid kinds: %s)", value, strings.Join(leakKinds(), ", "))
		}
		o.leak = value
	}
	return err
}

func wholeNumber(name, text string, max uint64) (uint64, error) {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil || value > max {
		return 0, fmt.Errorf("`%s` wants a whole number from 0 to %d, found `%s`", name, max, text)
	}
	return value, nil
}

func serve(options options) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", options.port))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	line, err := json.Marshal(struct {
		Listening string `json:"listening"`
		Runtime   string `json:"runtime"`
		Leak      string `json:"leak"`
		Pid       int    `json:"pid"`
	}{"http://" + listener.Addr().String(), "go", options.leak, os.Getpid()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if options.exitWithStdin {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop <- syscall.SIGTERM
		}()
	}
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, routes(options)) }()
	select {
	case <-stop:
		return nil
	case err := <-failed:
		return err
	}
}
