package main

import "fmt"

const (
	A = 1
	B = 2
)

type Server struct {
	Addr string
}

// Start runs it.
func (s *Server) Start(port int) error {
	fmt.Println(port)
	return nil
}

func main() {}
