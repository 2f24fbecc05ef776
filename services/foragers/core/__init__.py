"""What foragers decide without I/O: outside requests into tones, tones into outside answers.

`dialect` says what a dialect is, `answers` what every answer shares, `errors` why there is none.
One package for each dialect (`openai`); `bees` reads humd's list of who is connected.
"""
