package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// mayWrite refuses a file that is there already.
func mayWrite(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already; give another name", name)
	}
	return nil
}

// download writes what a gateway sends to a new file, for the user alone. It gets its name when
// it is whole and on disk. what it is, errors say: a backup.
func download(c *cobra.Command, api *adminAPI, call apiCall, name, what string) (size uint64, err error) {
	if folder, err := os.Stat(filepath.Dir(name)); err != nil || !folder.IsDir() {
		return 0, usage("%s: there is no folder %s; make it first, or give another name", name, filepath.Dir(name))
	}
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".partial-*") // 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	defer file.Close()
	if size, err = receive(c, api, call, file, what); err != nil {
		return 0, err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return 0, err
	}
	if err := os.Link(file.Name(), name); err != nil { // unlike a renaming it replaces no other file
		return 0, err
	}
	return size, os.Remove(file.Name())
}

// receive writes what a gateway sends, and says how much that is.
func receive(c *cobra.Command, api *adminAPI, call apiCall, to io.Writer, what string) (uint64, error) {
	ctx := c.Context()
	answer, err := api.send(ctx, call)
	if ctx.Err() != nil {
		return 0, fmt.Errorf("interrupted: there is no %s", what)
	}
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	size, err := io.Copy(to, &reported{from: answer.Body, to: c.ErrOrStderr(), next: time.Now().Add(progressAfter)})
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("interrupted: there is no %s", what)
	case err != nil:
		return 0, fmt.Errorf("the %s was cut off after %s: %w; the gateway's log says more", what, humanize.Bytes(uint64(size)), err)
	}
	return uint64(size), nil
}

// reported says how much has been read, where that takes long.
type reported struct {
	from io.Reader
	to   io.Writer
	read uint64
	next time.Time
}

func (r *reported) Read(p []byte) (n int, err error) {
	n, err = r.from.Read(p)
	r.read += uint64(max(n, 0))
	if now := time.Now(); now.After(r.next) {
		r.next = now.Add(progressAfter)
		fmt.Fprintf(r.to, "%s\n", humanize.Bytes(r.read))
	}
	return n, err
}
