#include <stdio.h>
#include "sample.h"

#define LIMIT 10
#define SQUARE(x) ((x) * (x))

/* A node. */
struct node {
    int value, *next;
    void (*visit)(struct node *);
    union { int whole; float part; } number;
    unsigned flag : 1;
};

typedef struct { int x, y; } point_t, *point_p;
typedef struct tree { struct tree *left; } tree_t;
typedef int (*compare_fn)(const void *, const void *);

enum color { RED, GREEN = 2 };
enum { ANONYMOUS };

static const int first = 1, second = 2;
int table[3] = {1, 2, 3};
int (*callback)(int) = 0;
struct pair { int a; } one, *two;

static int helper(int a, char **b);

#ifdef FAST
static inline char *fast(void) { return 0; }
#else
// slow but sure
static char *
slow(int a,
     int b)
{
    struct local { int z; };
    int inner = 1;
    return 0;
}
#endif

int main(int argc, char *argv[]) { return helper(1, argv); }
