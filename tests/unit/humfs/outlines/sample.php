<?php
declare(strict_types=1);

namespace App\Models;

use Foo\Bar;
use function Foo\baz;

const LIMIT = 1, OTHER = 2;

/** Adds. */
#[Pure]
function add(int $a, int ...$more): ?int
{
    return $a;
}

final class User extends Model implements JsonSerializable
{
    use Notifiable;

    public const TABLE = 'users';
    private ?string $name = null, $nick;

    public function __construct(private readonly int $id) {}

    abstract protected function role(): string;

    public static function find(int $id): static
    {
        return new class { public function inner() {} };
    }
}

interface HasName { public function name(): string; }
trait Notifiable { public function notify() {} }
enum Suit: string { case Hearts = 'h'; case Spades = 's'; const Wild = self::Spades; }

if (!function_exists('late')) {
    function late() {}
}
