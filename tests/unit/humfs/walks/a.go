package p

func f(n int) int {
	if n > 0 {
		return 1
	} else if n < 0 {
		b()
	} else {
		return -1
	}
	for i := range xs {
		c(d())
	}
}
