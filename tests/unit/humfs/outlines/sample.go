// Package server does it.
package server

import "fmt"

import (
	"net/http"
)

const (
	A = iota
	B
	_
)

const X, Y = 1, 2

var (
	// ErrGone says so.
	ErrGone = errors.New("gone")
	left, right int
)

type Kind int

type (
	// Handler answers.
	Handler func(w http.ResponseWriter) error
	Alias   = string
)

// Server listens.
type Server[T any] struct {
	Addr, Host string
	http.Client
	*Pool
	inner struct {
		depth int
	}
}

type Store interface {
	Get(key string) (string, error)
	fmt.Stringer
}

// Start runs it.
func (s *Server[T]) Start(port int) (err error) {
	helper := func() {}
	helper()
	return nil
}

func (Kind) String() string { return "" }

func Map[T any](items []T,
	f func(T) T,
) []T {
	return items
}
