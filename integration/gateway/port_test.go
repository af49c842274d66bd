package gateway_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

// portsWanted is set for the test's other processes: how many ports they print.
const portsWanted = "GATEWAY_TEST_PORTS"

func TestMain(m *testing.M) {
	count, err := strconv.Atoi(os.Getenv(portsWanted))
	if err != nil {
		os.Exit(m.Run())
	}
	for range count {
		port, err := gateway.FreePort()
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(strconv.Itoa(port) + "\n")
	}
	os.Stdout.Close()
	os.Stdin.Read(make([]byte, 1)) // until the parent closes it
}

// TestFreePort: several processes, each with several tests at once, are given no port
// twice.
func TestFreePort(t *testing.T) {
	const each = 300
	var mu sync.Mutex
	given := map[string]bool{}
	take := func(ports ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, port := range ports {
			if given[port] {
				t.Errorf("%s is given twice", port)
			}
			given[port] = true
		}
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range each / 3 {
				port, err := gateway.FreePort()
				if err != nil {
					t.Error(err)
				}
				take(strconv.Itoa(port))
			}
		})
	}
	for range 2 {
		other := exec.CommandContext(t.Context(), os.Args[0])
		other.Env = append(os.Environ(), portsWanted+"="+strconv.Itoa(each))
		stdin, err := other.StdinPipe() // while it is open the process holds its block
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := other.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			ports, err := io.ReadAll(stdout)
			if err != nil {
				t.Error(err)
			}
			take(strings.Fields(string(ports))...)
		})
		defer func() {
			if err := errors.Join(stdin.Close(), other.Wait()); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if len(given) != 3*each {
		t.Errorf("got %d different ports, want %d", len(given), 3*each)
	}
}

// TestFreePortLooksAround: one that somebody has on any address is not given.
func TestFreePortLooksAround(t *testing.T) {
	before, err := gateway.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	next := strconv.Itoa(before + 1)
	if taken, err := net.Listen("tcp", "127.0.0.1:"+next); err == nil { // or another has it already
		defer taken.Close()
	}
	if after, err := gateway.FreePort(); err != nil || strconv.Itoa(after) == next {
		t.Errorf("%d, %v, and %s is taken", after, err, next)
	}
}
