package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// The store's directory, which is looked at and neither opened nor made, and the stop.

const storePlace = "apps/openbanking_dcr/store/directory"

func (i *inspection) aboutStore(found, why, write string) {
	i.found(Finding{Directive: "openbanking_dcr, store badger", Place: storePlace, Found: found, Why: why, Write: write})
}

// storeDirectory is the store's, empty where the engine has none.
func (i *inspection) storeDirectory() string {
	var store struct {
		Engine string `json:"engine"`
		caddymodule.BadgerStore
	}
	if err := again(at(i.tree, "apps/openbanking_dcr/store"), &store); err != nil || store.Engine != "" && store.Engine != "badger" {
		return ""
	}
	dir, err := store.Path()
	if err != nil {
		return "" // the configuration does not load
	}
	return dir
}

// existing is the store's directory, or the one above it that there is.
func existing(dir string) string {
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func storeMissing(i *inspection) {
	dir := i.storeDirectory()
	entries, err := os.ReadDir(dir)
	if dir != "" && (os.IsNotExist(err) || err == nil && len(entries) == 0) {
		i.aboutStore("there is no store yet in "+dir, "Before the first start this is right. Later it means that the directory is another one, or that its volume is not mounted.", "nothing before the first start; otherwise mount the volume, or correct store badger <directory>")
	}
}

// temporaryFolders are those that a restart or a cleaner empties.
var temporaryFolders = []string{"/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run"}

func storeTemporary(i *inspection) {
	dir := i.storeDirectory()
	if dir == "" {
		return
	}
	inTemporary := func() bool {
		for _, t := range i.temporary {
			if dir == t || strings.HasPrefix(dir, strings.TrimSuffix(t, "/")+"/") {
				return true
			}
		}
		return false
	}
	if kind := i.fileSystem(existing(dir)); kind == memory || inTemporary() {
		i.aboutStore("the store is in "+dir+", which is emptied at a restart or by a cleaner", "Every client is lost then, and those at the authorization server are nobody's.", "write store badger /var/lib/caddy-dcr")
	}
}

func storeNetwork(i *inspection) {
	dir := i.storeDirectory()
	if dir != "" && i.fileSystem(existing(dir)) == network {
		i.aboutStore("the store is on a network file system", "The store maps its files into memory and locks its directory. Network file systems do neither reliably, and a write may be lost after it was confirmed.", "put the store on a local disk or a block device")
	}
}

// wantedRoom is what a store should have when it begins: the gateway's alarm is at 256 MB.
const wantedRoom = 1 << 30

func storeRoom(i *inspection) {
	dir := i.storeDirectory()
	if left, known := i.freeRoom(existing(dir)); dir != "" && known && left < wantedRoom {
		i.aboutStore("the disk of the store has "+humanize.IBytes(left)+" left", "Below 128 MiB the gateway stops writing, and nobody can register. It warns below 256 MiB.", "give the disk of the store 1 GiB or more")
	}
}

func keysetGenerated(i *inspection) {
	if i.global.Keyset == "" {
		i.found(Finding{Directive: "openbanking_dcr, keyset", Place: "apps/openbanking_dcr/keyset", Found: "the gateway generates its keyset into Caddy's data directory",
			Why: "Without the keyset nobody can read the credentials in the store, and a backup of the store alone is worth little.", Write: "back keyset.json up with the store, or write keyset {env.<NAME>}"})
	}
}

func repairLeft(i *inspection) {
	accepted, _ := at(i.tree, "apps/openbanking_dcr/store/accept_loss").(string)
	for _, option := range []struct{ word, value string }{{"keyset_lost", i.global.KeysetLost}, {"accept_loss", accepted}} {
		if option.value != "" {
			i.found(Finding{Directive: "openbanking_dcr, " + option.word, Place: "apps/openbanking_dcr/" + map[bool]string{true: "store/"}[option.word == "accept_loss"] + option.word, Found: option.word + " is written",
				Why: "It accepts one loss of data. If the same damaged copy comes back, it accepts it again without a word.", Write: "take " + option.word + " away once the gateway has started with it"})
		}
	}
}

func runsAsRoot(i *inspection) {
	if i.root {
		i.found(Finding{Found: "this command runs as root", Why: "Root may do everything, so that nothing is known of what Caddy's user may read and write.", Write: "run it as Caddy's user: sudo -u caddy caddy dcr check"})
	}
}

// outboxEnd is how long the outbox may work after the last request.
const outboxEnd = 25 * time.Second

func (i *inspection) grace() time.Duration {
	var http struct {
		Grace any `json:"grace_period"`
	}
	if again(at(i.tree, "apps/http"), &http) != nil {
		return 0
	}
	switch g := http.Grace.(type) {
	case float64:
		return time.Duration(g)
	case string:
		d, err := time.ParseDuration(g)
		if err == nil {
			return d
		}
	}
	return 0
}

func gracePeriodMissing(i *inspection) {
	if i.grace() == 0 {
		i.found(Finding{Directive: "grace_period", Place: "apps/http/grace_period", Found: "nothing limits how long a stop or a reload waits for requests",
			Why: "One request that the authorization server does not answer holds up a stop until the service manager kills the process.", Write: "write in the global options: grace_period 60s"})
	}
}

func gracePeriodLong(i *inspection) {
	stop, from := i.stopTimeout()
	if grace := i.grace(); grace != 0 && stop != 0 && grace+outboxEnd >= stop {
		i.found(Finding{Directive: "grace_period", Place: "apps/http/grace_period", Found: fmt.Sprintf("grace_period %v and the outbox (%v) take longer than the service manager waits (%v, %s)", grace, outboxEnd, stop, from),
			Why: "It kills the process while registrations are under way. The next start has to complete or undo them.", Write: fmt.Sprintf("write TimeoutStopSec=%d in the unit (terminationGracePeriodSeconds in Kubernetes), or a shorter grace_period", int((grace+outboxEnd).Seconds())+5)})
	}
}

func stopTimeoutUnknown(i *inspection) {
	if stop, _ := i.stopTimeout(); stop == 0 {
		i.found(Finding{Directive: "grace_period", Place: "apps/http/grace_period", Found: "it is not known how long the service manager waits for a stop",
			Why: "If it waits less than grace_period and 25 seconds, it kills the process while registrations are under way.", Write: "give this command --stop-timeout <duration>, for instance 30s as Kubernetes and 10s as Docker have by default"})
	}
}

// systemdFolders are where systemd has units, what counts first.
var systemdFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// stopTimeout is how long the service manager waits, and who says so; 0 for not known.
func (i *inspection) stopTimeout() (time.Duration, string) {
	if i.StopTimeout != 0 {
		return i.StopTimeout, "--stop-timeout"
	}
	var files []string
	for _, folder := range i.units {
		if drops, err := filepath.Glob(filepath.Join(folder, "caddy.service.d", "*.conf")); err == nil && len(drops) > 0 {
			files = append(files, drops[len(drops)-1])
		}
	}
	for _, folder := range i.units {
		files = append(files, filepath.Join(folder, "caddy.service"))
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			value, ok := strings.CutPrefix(strings.TrimSpace(line), "TimeoutStopSec=")
			if !ok {
				continue
			}
			if d, err := time.ParseDuration(value); err == nil {
				return d, name
			}
			if d, err := time.ParseDuration(value + "s"); err == nil {
				return d, name
			}
		}
	}
	return 0, ""
}
