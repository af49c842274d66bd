//go:build !unix

package caddymodule

import "io/fs"

// owner is who a file belongs to, which this system does not tell by a number.
type owner struct{}

func ownerOf(fs.FileInfo) (o owner, known bool) { return o, false }

// identity is a user.
type identity struct{}

func thisUser() (i identity) { return i }

func (identity) String() string                    { return "" }
func (owner) mayChange(identity, fs.FileMode) bool { return true }
func (owner) mayWrite(identity, fs.FileMode) bool  { return true }
func (owner) String() string                       { return "" }

func rootBeside(fs.FileInfo) (user string, is bool) { return "", false }
