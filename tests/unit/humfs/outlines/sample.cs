using System;
using System.Linq;

namespace App.Core
{
    /// <summary>A thing.</summary>
    [Serializable]
    public partial class Service<T> : IDisposable where T : class
    {
        private const int Limit = 10;
        private int first, second = 2;
        public event EventHandler Changed;
        public string Name { get; set; } = "";
        public int this[int i] => i;

        static Service() { }
        public Service(string name) : base(name) { }
        ~Service() { }

        public static Service<T> operator +(Service<T> a, Service<T> b) => a;
        public static implicit operator int(Service<T> s) => 1;

        [HttpGet]
        public async Task<int> RunAsync(
            int count,
            CancellationToken token = default)
        {
            int Local(int x) => x + 1;
            return Local(count);
        }

        public delegate void Done(int code);
        private enum Mode { Fast = 1, Slow }
        public record Pair(int Left, int Right);
        struct Point { public int X; }
    }

    interface IStore { int Count { get; } void Put(string key); }
}
