package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// sharedStage is open from the first test that uses it until all tests are done.
type sharedStage struct {
	once  sync.Once
	stage *story.Stage
	dir   string
	err   error
}

// sharedStages are those of eachShared and onceShared.
var sharedStages = func() map[authserverprocess.Kind]*sharedStage {
	stages := map[authserverprocess.Kind]*sharedStage{}
	for _, kind := range authserverprocess.Kinds {
		stages[kind] = &sharedStage{}
	}
	return stages
}()

func TestMain(m *testing.M) {
	code := m.Run()
	for kind, s := range sharedStages {
		if err := s.close(); err != nil {
			fmt.Fprintf(os.Stderr, "the stage that tests share at %s: %v\n", kind, err)
			code = 1
		}
	}
	os.Exit(code)
}

// eachShared is each for a test that shares its stage, with the same TPPs and without
// limits, with tests that run at the same time. It looks at the clients that it has made
// and at nothing else. It suspends no software, organisation or directory, counts no clients,
// does not reset what the server was asked, and needs no faults and no other configuration.
func eachShared(t *testing.T, f func(*testing.T, *story.Play)) {
	t.Helper()
	t.Parallel()
	atShared(t, authserverprocess.Kinds, f)
}

// onceShared is once for such a test.
func onceShared(t *testing.T, f func(*testing.T, *story.Play)) {
	t.Helper()
	t.Parallel()
	atShared(t, onceKinds(), f)
}

func atShared(t *testing.T, kinds []authserverprocess.Kind, f func(*testing.T, *story.Play)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			shared := sharedStages[kind]
			shared.once.Do(func() { shared.err = shared.open(kind) })
			if shared.err != nil {
				t.Fatal(shared.err)
			}
			s := shared.stage.Guest(watch(t).check)
			t.Cleanup(func() {
				s.CloseIdle()
				holdsLog(t, s)
			})
			f(t, learn(t, s))
		})
	}
}

func (s *sharedStage) open(kind authserverprocess.Kind) error {
	binary, err := gateway.Build()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "shared-stage-"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s.stage, err = story.Open(ctx, story.Options{Kind: kind, Binary: binary, Dir: s.dir, Edits: []gateway.Edit{gateway.Unlimited}})
	return err
}

func (s *sharedStage) close() error {
	var err error
	if s.stage != nil {
		err = s.stage.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
